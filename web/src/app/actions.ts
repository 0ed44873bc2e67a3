/** Actions that change something on the server: one after the other, and again if one fails. */

import { find, onClick, say } from './dom.ts'

interface Action {
  readonly words: string
  readonly run: () => Promise<void>
}

export class Actions {
  private readonly onFailure: () => void
  private last: Promise<void> = Promise.resolve()
  private failed: Action | null = null
  private waiting = 0

  constructor(onFailure: () => void) {
    this.onFailure = onFailure
    onClick('repeat', () => {
      const { failed } = this
      this.close()
      if (failed !== null) void this.do(failed.words, failed.run)
    })
    onClick('dismiss', () => this.close())
  }

  /** Whether an action is on its way. */
  get isBusy(): boolean {
    return this.waiting > 0
  }

  /** Run an action after those before it; a failure is shown and can be repeated. */
  do(words: string, run: () => Promise<void>): Promise<void> {
    this.waiting += 1
    document.body.ariaBusy = 'true'
    this.last = this.last.then(async () => {
      try {
        await run()
        if (this.failed?.words === words) this.close()
      } catch (error) {
        this.fail({ words, run }, error)
      } finally {
        this.waiting -= 1
        if (this.waiting === 0) document.body.ariaBusy = 'false'
      }
    })
    return this.last
  }

  private fail(action: Action, error: unknown): void {
    this.failed = action
    const reason = error instanceof Error ? error.message : String(error)
    find('span', 'alert-words').textContent = `${action.words}: ${reason}`
    find('div', 'alert').hidden = false
    say('')
    this.onFailure()
  }

  private close(): void {
    this.failed = null
    find('div', 'alert').hidden = true
  }
}
