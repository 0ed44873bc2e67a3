/** The REST interface of the server, see `docs/serve.md`. */

import type { Position, Side } from '../data.ts'

export type CaseState = 'todo' | 'done' | 'problem' | 'new' | 'failed'
export type Review = 'machine' | 'accepted' | 'moved' | 'placed' | 'absent'
export type Order = 'doubtful' | 'list'

export interface Mark {
  readonly name: string
  readonly position: Position | null
  readonly confidence: number
  readonly review: Review
}

export interface SkeletonMark {
  readonly name: string
  readonly side: Side
  readonly partner: string | null
  readonly limb: string | null
  readonly color: string
}

export interface SkeletonSegment {
  readonly start: string
  readonly end: string
  readonly side: Side
}

export interface Entry {
  readonly id: string
  readonly time: string
  readonly author: string
  readonly action: string
  readonly landmarks: readonly string[]
  readonly note: string
  readonly counts: boolean
}

export interface CaseDetail {
  readonly name: string
  readonly state: CaseState
  readonly note: string
  readonly error: string
  readonly has_volume: boolean
  readonly has_page: boolean
  readonly volume_key: string
  readonly quality: number | null
  readonly reasons: readonly string[]
  readonly warnings: readonly string[]
  readonly changes: readonly string[]
  readonly skeleton: {
    readonly landmarks: readonly SkeletonMark[]
    readonly segments: readonly SkeletonSegment[]
  }
  readonly prediction: readonly Mark[]
  readonly pose: readonly Mark[]
  readonly history: {
    readonly entries: readonly Entry[]
    readonly authors: readonly string[]
    readonly undo: string | null
    readonly redo: string | null
    readonly disagreements: readonly string[]
    readonly prediction_changed: boolean
  }
}

export interface CaseItem {
  readonly name: string
  readonly state: CaseState
  readonly quality: number | null
  readonly reasons: string
  readonly warnings: string
  readonly authors: readonly string[]
  readonly note: string
}

export interface CaseList {
  readonly total: number
  readonly offset: number
  readonly counts: Readonly<Record<CaseState, number>>
  readonly cases: readonly CaseItem[]
}

export interface Job {
  readonly id: string
  readonly case: string
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'
  readonly place: number
  readonly seconds: number
  readonly error: string
}

export interface Status {
  readonly name: string
  readonly kind: 'results' | 'dataset'
  readonly can_predict: boolean
  readonly max_upload_bytes: number
}

export interface Correction {
  readonly action: string
  readonly landmarks?: readonly string[]
  readonly position?: Position
  readonly note?: string
}

/** The server refused a request, or did not answer; the message is one line. */
export class ServerError extends Error {}

export const getStatus = () => request<Status>('GET', '/api/status')

/** A page of the work list. */
export function getCases(
  state: CaseState | null,
  order: Order,
  search: string,
  offset: number,
  limit: number,
): Promise<CaseList> {
  const query = new URLSearchParams({ order, search, offset: `${offset}`, limit: `${limit}` })
  if (state !== null) query.set('state', state)
  return request('GET', `/api/cases?${query}`)
}

export function getCase(name: string, author: string): Promise<CaseDetail> {
  return request('GET', `${casePath(name)}?${new URLSearchParams({ author })}`)
}

/** The volume of a case for viewing, `.nii.gz`. */
export async function getVolume(name: string): Promise<ArrayBuffer> {
  return (await answer('GET', `${casePath(name)}/volume.nii.gz`)).arrayBuffer()
}

export function postCorrection(
  name: string,
  author: string,
  correction: Correction,
): Promise<CaseDetail> {
  return request('POST', `${casePath(name)}/corrections`, { author, ...correction })
}

/** Undo, redo, or let the other landmarks follow those of the person. */
export function postStep(
  name: string,
  author: string,
  step: 'undo' | 'redo' | 'ask',
): Promise<CaseDetail> {
  return request('POST', `${casePath(name)}/${step}`, { author })
}

/** Prepare a case for `ask`; whether that succeeds is seen when it is asked. */
export function prepare(name: string): void {
  void fetch(`${casePath(name)}/prepare`, { method: 'POST' }).catch(() => undefined)
}

export const postPredict = (name: string) => request<Job>('POST', `${casePath(name)}/predict`)
export const getJobs = () => request<{ jobs: Job[] }>('GET', '/api/jobs')
export const deleteJob = (id: string) => request<Job>('DELETE', `/api/jobs/${id}`)

export function postVolume(file: File): Promise<{ case: string; job: Job }> {
  return request('POST', `/api/volumes?${new URLSearchParams({ name: file.name })}`, file)
}

/** Address of the picture of the corrected landmarks; it changes with the corrections. */
export function pictureUrl(detail: CaseDetail): string {
  return `${casePath(detail.name)}/picture?line=${detail.history.entries.length}`
}

export function casePath(name: string): string {
  return `/api/cases/${encodeURIComponent(name)}`
}

async function request<T>(method: string, path: string, body?: object): Promise<T> {
  return (await answer(method, path, body)).json() as Promise<T>
}

async function answer(method: string, path: string, body?: object): Promise<Response> {
  const options: RequestInit = { method }
  if (body instanceof File) options.body = body
  else if (body !== undefined) {
    options.body = JSON.stringify(body)
    options.headers = { 'content-type': 'application/json' }
  }
  let response: Response
  try {
    response = await fetch(path, options)
  } catch {
    throw new ServerError('The server does not answer. Nothing was changed.')
  }
  if (!response.ok) throw new ServerError(await refusal(response))
  return response
}

async function refusal(response: Response): Promise<string> {
  try {
    return ((await response.json()) as { error: string }).error
  } catch {
    return `The server answers with ${response.status}.`
  }
}
