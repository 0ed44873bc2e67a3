/** Volumes for viewing; the next one is fetched while a person looks at the one before. */

import { type CaseDetail, getVolume } from './api.ts'

const KEPT = 3

export class Volumes {
  private readonly known = new Map<string, Promise<ArrayBuffer>>()

  /** Get the volume of a case, from memory if it was there before. */
  get(detail: Pick<CaseDetail, 'name' | 'volume_key'>): Promise<ArrayBuffer> {
    const key = `${detail.volume_key} ${detail.name}`
    const volume = this.known.get(key) ?? getVolume(detail.name)
    this.known.delete(key)
    this.known.set(key, volume)
    volume.catch(() => this.known.delete(key))
    for (const oldest of [...this.known.keys()].slice(0, -KEPT)) this.known.delete(oldest)
    return volume
  }
}
