/** The work list: cases in their order, what is done, and which one comes next. */

import { type CaseDetail, type CaseItem, type CaseList, type CaseState, getCases, type Order } from './api.ts'
import { find, make } from './dom.ts'
import { nextCase, progressOf } from './state.ts'
import { STATE_WORDS } from './words.ts'

const PAGE = 100
const SEARCH_DELAY_MS = 200
const FILTERS: readonly (CaseState | null)[] = ['todo', 'done', 'problem', 'new', 'failed', null]

export class WorkList {
  private readonly open: (name: string) => void
  private readonly fail: (error: unknown) => void
  private items: CaseItem[] = []
  private total = 0
  private current: string | null = null
  private request = 0

  /**
   * Connect the elements of the list.
   *
   * @param open called with the name of a case that the reader chooses
   * @param fail called if the list cannot be read
   */
  constructor(
    open: (name: string) => void,
    fail: (error: unknown) => void,
  ) {
    this.open = open
    this.fail = fail
    const state = find('select', 'show-state')
    for (const filter of FILTERS) {
      const option = make('option', '', filter === null ? 'all' : STATE_WORDS[filter])
      option.value = filter ?? ''
      state.append(option)
    }
    state.value = ''
    state.addEventListener('change', () => void this.refresh())
    find('select', 'order').addEventListener('change', () => void this.refresh())
    let waiting: number | undefined
    find('input', 'search').addEventListener('input', () => {
      window.clearTimeout(waiting)
      waiting = window.setTimeout(() => void this.refresh(), SEARCH_DELAY_MS)
    })
    find('button', 'more').addEventListener('click', () => void this.refresh(this.items.length + PAGE))
  }

  /** Read the list again, at least as much of it as is shown. */
  async refresh(count = Math.max(this.items.length, PAGE)): Promise<void> {
    this.request += 1
    const { request } = this
    const state = find('select', 'show-state').value as CaseState | ''
    try {
      const items: CaseItem[] = []
      let page: CaseList
      do {
        page = await getCases(
          state === '' ? null : state,
          find('select', 'order').value as Order,
          find('input', 'search').value.trim(),
          items.length,
          Math.min(Math.max(count - items.length, 1), 500),
        )
        items.push(...page.cases)
      } while (items.length < Math.min(count, page.total) && page.cases.length > 0)
      if (request !== this.request) return
      this.items = items
      this.total = page.total
      this.showCounts(page.counts)
      this.render()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Mark the case that is open, as it is now. */
  update({ name, state, note, history }: Pick<CaseDetail, 'name' | 'state' | 'note' | 'history'>): void {
    this.current = name
    this.items = this.items.map((item) =>
      item.name === name ? { ...item, state, note, authors: history.authors } : item,
    )
    this.render()
  }

  /** Name of the case that is to be done after another one, or null. */
  async next(after: string): Promise<string | null> {
    const found = nextCase(this.items, after)
    if (found !== null) return found
    const order = find('select', 'order').value as Order
    const { cases } = await getCases('todo', order, '', 0, 2)
    return nextCase(cases, after)
  }

  /** Name of the case before another one, or null. */
  previous(before: string): string | null {
    const at = this.items.findIndex((item) => item.name === before)
    return this.items[at - 1]?.name ?? null
  }

  /** Name of the case to begin with, or null. */
  first(): string | null {
    return nextCase(this.items, '') ?? this.items[0]?.name ?? null
  }

  private showCounts(counts: CaseList['counts']): void {
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
    for (const option of find('select', 'show-state').options) {
      const state = option.value as CaseState | ''
      const [words, count] = state === '' ? ['all', all] : [STATE_WORDS[state], counts[state]]
      option.textContent = `${words} (${count})`
    }
    const { finished, total } = progressOf(counts)
    const bar = find('progress', 'progress')
    ;[bar.max, bar.value] = [Math.max(total, 1), finished]
    find('span', 'progress-words').textContent = `${finished} of ${total} done`
  }

  private render(): void {
    const list = find('ol', 'cases')
    const focused = list.contains(document.activeElement)
    const scrolled = list.scrollTop
    list.replaceChildren(...this.items.map((item) => this.row(item)))
    list.scrollTop = scrolled
    if (focused) list.querySelector<HTMLElement>('[aria-current]')?.focus()
    if (this.items.length === 0) list.append(make('li', 'muted', 'No case.'))
    find('button', 'more').hidden = this.items.length >= this.total
  }

  private row(item: CaseItem): HTMLElement {
    const quality = item.quality === null ? '' : `, quality ${item.quality.toFixed(2)}`
    const facts = `${STATE_WORDS[item.state]}${quality}${item.note === '' ? '' : `: ${item.note}`}`
    const element = make('button', '', item.name, make('span', 'facts-line', facts))
    element.type = 'button'
    element.title = [item.reasons, item.warnings].filter(Boolean).join('; ')
    if (item.name === this.current) element.setAttribute('aria-current', 'true')
    element.addEventListener('click', () => this.open(item.name))
    return make('li', '', element)
  }
}
