/** The name that a person chooses; this browser remembers it. */

import { ask, find, onClick } from './dom.ts'

const KEY = 'fetusmap-author'

export class Author {
  private readonly changed: () => void
  name = stored()

  /** Connect the button that changes the name; `changed` is called when it has changed. */
  constructor(changed: () => void) {
    this.changed = changed
    onClick('author', () => void this.choose())
    this.show()
  }

  /** The name; asks for it if there is none yet. "" if the person does not want to give one. */
  async require(): Promise<string> {
    return this.name === '' ? this.choose() : this.name
  }

  private async choose(): Promise<string> {
    const input = find('input', 'name')
    input.value = this.name
    const answer = await ask('name-dialog')
    const name = input.value.trim()
    if (answer === 'ok' && name !== '' && name !== this.name) {
      this.name = name
      try {
        localStorage.setItem(KEY, name)
      } catch {
        // The browser keeps nothing; the name lasts as long as the page.
      }
      this.show()
      this.changed()
    }
    return this.name
  }

  private show(): void {
    find('button', 'author').textContent = this.name === '' ? 'Your name' : `By ${this.name}`
  }
}

function stored(): string {
  try {
    return localStorage.getItem(KEY) ?? ''
  } catch {
    return ''
  }
}
