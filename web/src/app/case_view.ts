/** The texts of a case: its head, its landmarks, its reasons to look closely, and its buttons. */

import { confidenceColor } from '../colors.ts'
import { type CaseDetail, casePath, type Mark } from './api.ts'
import { find, make } from './dom.ts'
import { actionWords, doubts, plainName, REVIEW_SIGNS, REVIEW_WORDS, reviewedWords, reviewWords, STATE_WORDS } from './words.ts'

const LETTERS = { left: 'L', right: 'R', midline: '' }

export interface Shown {
  readonly detail: CaseDetail
  readonly marks: readonly Mark[]
  readonly selected: number | null
  readonly isPredicted: boolean
  readonly isPlacing: boolean
}

/** Show a case as it is; `select` is called with the row of a landmark that the reader chooses. */
export function renderCase(shown: Shown, select: (row: number) => void): void {
  const { detail, marks } = shown
  for (const [tag, id] of [['main', 'case'], ['aside', 'panel']] as const) find(tag, id).hidden = false
  find('p', 'empty').hidden = true
  find('h1', 'case-name').textContent = detail.name
  document.title = `${detail.name} · FetusMap`
  const quality = detail.quality === null ? '' : ` · quality ${detail.quality.toFixed(2)}`
  const people = detail.history.authors.length === 0 ? '' : ` · by ${detail.history.authors.join(', ')}`
  const note = detail.note === '' ? '' : `: ${detail.note}`
  find('p', 'case-state').textContent = `${STATE_WORDS[detail.state]}${note}${quality}${people}`
  find('small', 'reviewed').textContent = reviewedWords(detail.pose)
  const sentences = [...(detail.error === '' ? [] : [detail.error]), ...doubts(detail)]
  find('section', 'doubts').hidden = sentences.length === 0
  find('ul', 'doubt-list').replaceChildren(...sentences.map((text) => make('li', '', text)))
  find('button', 'predict').hidden = detail.state !== 'new' && detail.state !== 'failed'
  const link = find('a', 'page-link')
  link.hidden = !detail.has_page
  link.href = `${casePath(detail.name)}/page`
  renderLandmarks(shown, marks, select)
  renderHistory(detail)
  renderButtons(shown)
}

/** Update the line of a landmark while it is dragged. */
export function renderMoving(mark: Mark, predicted: Mark): void {
  const at = mark.position?.map((value) => value.toFixed(1)).join(', ') ?? ''
  find('p', 'selected-words').textContent = `${reviewWords({ ...mark, review: 'moved' }, predicted)} · ${at} mm`
}

function renderLandmarks(shown: Shown, marks: readonly Mark[], select: (row: number) => void): void {
  const body = find('tbody', 'landmarks')
  const hadFocus = body.contains(document.activeElement)
  body.replaceChildren(...marks.map((_, row) => landmarkRow(shown, row, select)))
  if (hadFocus) body.querySelector<HTMLElement>('[aria-pressed=true]')?.focus()
  const selected = body.children[shown.selected ?? -1]
  if (selected instanceof HTMLElement) reveal(selected)
}

/** Scroll the list to a row; the page itself stays where it is, so that the slices stay in sight. */
function reveal(row: HTMLElement): void {
  const list = row.closest<HTMLElement>('.landmark-scroll')
  if (list === null) return
  const head = row.offsetHeight // the heading covers the first row
  const low = row.offsetTop + row.offsetHeight - list.clientHeight
  list.scrollTop = Math.min(Math.max(list.scrollTop, low), row.offsetTop - head)
}

function landmarkRow({ detail, marks, selected }: Shown, row: number, select: (row: number) => void): HTMLElement {
  const [mark, predicted] = [marks[row], detail.prediction[row]] as [Mark, Mark]
  const known = detail.skeleton.landmarks[row]
  const swatch = make('span', 'swatch')
  if (mark.position !== null) swatch.style.backgroundColor = `rgb(${confidenceColor(mark.confidence).join(' ')})`
  const letter = make('span', 'letter', LETTERS[known?.side ?? 'midline'])
  letter.style.color = known?.color ?? ''
  letter.ariaHidden = 'true'
  const choose = make('button', '', swatch, letter, plainName(mark.name))
  choose.type = 'button'
  choose.setAttribute('aria-pressed', String(row === selected))
  choose.addEventListener('click', () => select(row))
  const heading = make('th', '', choose)
  heading.scope = 'row'
  const words = reviewWords(mark, predicted)
  const review = words === REVIEW_WORDS.machine ? '' : `${REVIEW_SIGNS[mark.review]} ${words}`
  const confidence = mark.position === null ? '' : `${Math.round(100 * mark.confidence)} %`
  return make(
    'tr',
    row === selected ? 'is-selected' : '',
    heading,
    make('td', '', review.trim()),
    make('td', 'number', confidence),
  )
}

function renderHistory(detail: CaseDetail): void {
  const entries = detail.history.entries.map((entry) => {
    const [first] = entry.landmarks
    const what = entry.landmarks.length === 1 ? ` (${plainName(first ?? '')})` : ''
    const note = entry.note === '' ? '' : `: ${entry.note}`
    const time = new Date(entry.time).toLocaleTimeString([], { timeStyle: 'short' })
    const text = `${time} ${entry.author}: ${actionWords(entry.action)}${what}${note}`
    const isStep = entry.action === 'undo' || entry.action === 'redo'
    return make('li', entry.counts || isStep ? '' : 'undone', text)
  })
  find('ol', 'entries').replaceChildren(...entries.reverse())
}

function renderButtons({ detail, marks, selected, isPredicted, isPlacing }: Shown): void {
  const mark = selected === null ? undefined : marks[selected]
  const predicted = selected === null ? undefined : detail.prediction[selected]
  find('h2', 'selected-name').textContent = mark === undefined ? 'Choose a landmark' : plainName(mark.name)
  const at = mark?.position?.map((value) => value.toFixed(1)).join(', ')
  find('p', 'selected-words').textContent =
    mark === undefined || predicted === undefined
      ? 'in the list, or in a slice'
      : `${reviewWords(mark, predicted)}${at === undefined ? '; press C, then click where it lies' : ` · ${at} mm`}`
  const { undo, redo } = detail.history
  const hasSide = selected !== null && detail.skeleton.landmarks[selected]?.partner !== null
  const possible: Record<string, boolean> = {
    undo: undo !== null,
    redo: redo !== null,
    ask: detail.has_volume && detail.pose.some((m) => m.review !== 'machine' && m.position !== null),
    accept: mark?.review === 'machine' && mark.position !== null,
    place: mark !== undefined && detail.has_volume,
    here: mark !== undefined && detail.has_volume,
    absent: mark !== undefined,
    outside: mark !== undefined,
    limb: hasSide,
    reset: mark !== undefined && mark.review !== 'machine',
    reopen: detail.state === 'done' || detail.state === 'problem',
  }
  for (const element of document.querySelectorAll<HTMLButtonElement>('[data-command]')) {
    const command = element.dataset['command'] ?? ''
    const isView = command === 'next_case'
    element.disabled = !isView && (isPredicted || !(possible[command] ?? true))
    if (command === 'place') element.setAttribute('aria-pressed', String(isPlacing))
    if (command === 'undo') element.title = undo === null ? '' : actionWords(undo)
    if (command === 'redo') element.title = redo === null ? '' : actionWords(redo)
  }
  find('button', 'predicted').setAttribute('aria-pressed', String(isPredicted))
}
