/** Volumes that are dropped on the page: sent, predicted, and their progress. */

import { deleteJob, getJobs, type Job, postPredict, postVolume, type Status } from './api.ts'
import { button, find, make, onClick, say } from './dom.ts'

const POLL_MS = 1000
const STATES = { waiting: 'waits', running: 'is predicted', done: 'done', failed: 'failed', cancelled: 'cancelled' }

export class Uploads {
  private readonly status: Status
  private readonly open: (name: string) => void
  private readonly changed: (name: string) => void
  private sending: string[] = []
  private refused: string[] = []
  private isPolling = false
  private isAskedAgain = false
  /** Jobs whose end is known; null before the first answer, which is no news. */
  private ended: Set<string> | null = null

  /**
   * Connect the button and the page, on which files can be dropped.
   *
   * @param status what the server serves
   * @param open called with the name of a case that the reader chooses
   * @param changed called when a prediction has ended
   */
  constructor(
    status: Status,
    open: (name: string) => void,
    changed: (name: string) => void,
  ) {
    this.status = status
    this.open = open
    this.changed = changed
    if (!status.can_predict) return
    find('button', 'upload').hidden = false
    const input = find('input', 'upload-files')
    onClick('upload', () => input.click())
    input.addEventListener('change', () => {
      void this.send([...(input.files ?? [])])
      input.value = ''
    })
    const { classList } = document.body
    window.addEventListener('dragover', (event) => {
      event.preventDefault()
      classList.add('dropping')
    })
    window.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) classList.remove('dropping')
    })
    window.addEventListener('drop', (event) => {
      event.preventDefault()
      classList.remove('dropping')
      void this.send([...(event.dataTransfer?.files ?? [])])
    })
    void this.poll()
  }

  /** Predict a case that is in the list. */
  async predict(name: string): Promise<void> {
    await postPredict(name)
    void this.poll()
  }

  /** Send files one after the other; one that is refused does not stop the others. */
  private async send(files: File[]): Promise<void> {
    this.sending.push(...files.map((file) => file.name))
    for (const file of files) {
      this.show([])
      try {
        if (file.size > this.status.max_upload_bytes) throw new Error('the file is too large')
        const { case: name } = await postVolume(file)
        say(`${file.name} arrived as ${name}.`)
        this.changed(name)
      } catch (error) {
        this.refused.push(`${file.name}: ${error instanceof Error ? error.message : String(error)}`)
        say(`${file.name} was refused.`)
      }
      this.sending.shift()
      void this.poll()
    }
  }

  private async poll(): Promise<void> {
    this.isAskedAgain = true
    if (this.isPolling) return
    this.isPolling = true
    try {
      let isRunning = false
      while (isRunning || this.isAskedAgain) {
        this.isAskedAgain = false
        const { jobs } = await getJobs()
        this.show(jobs)
        this.report(jobs)
        isRunning = jobs.some((job) => !isOver(job))
        if (isRunning) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    } catch {
      setTimeout(() => void this.poll(), 5 * POLL_MS) // the server is away
    } finally {
      this.isPolling = false
    }
  }

  /** Tell which jobs have ended since the last time. */
  private report(jobs: readonly Job[]): void {
    const ended = jobs.filter(isOver)
    for (const job of this.ended === null ? [] : ended) {
      if (this.ended?.has(job.id)) continue
      say(`${job.case}: ${STATES[job.state]}.`)
      this.changed(job.case)
    }
    this.ended = new Set(ended.map((job) => job.id))
  }

  private show(jobs: readonly Job[]): void {
    const lines = [
      ...this.sending.map((name) => make('li', '', `${name} is being sent`)),
      ...this.refused.map((words) => make('li', '', `Refused: ${words}`)),
      ...jobs.slice(0, 20).map((job) => this.line(job)),
    ]
    find('section', 'jobs').hidden = lines.length === 0
    find('ul', 'job-list').replaceChildren(...lines)
  }

  private line(job: Job): HTMLElement {
    const place = job.state === 'waiting' ? ` (place ${job.place})` : ''
    const seconds = job.state === 'running' ? ` for ${Math.round(job.seconds)} s` : ''
    const words = ` ${STATES[job.state]}${place}${seconds}${job.error === '' ? '' : `: ${job.error}`}`
    const element = make('li', '', button(job.case, () => this.open(job.case)), words)
    if (job.state === 'waiting' || job.state === 'running') {
      element.append(button('Cancel', () => void deleteJob(job.id).catch(() => say('It could not be cancelled.'))))
    }
    return element
  }
}

function isOver(job: Job): boolean {
  return job.state !== 'waiting' && job.state !== 'running'
}
