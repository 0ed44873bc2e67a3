/** The page of a cohort: a table that is sorted and filtered, and histograms that filter it. */

import { readJson, requireElement } from './data.ts'
import { type Bin, type Column, type Filter, filtered, histogram, type Row, type Show, sorted } from './table.ts'

/** Rows that are added at a time, as the reader scrolls. */
const CHUNK = 60
const SEARCH_DELAY_MS = 120

const rows = readJson<Row[]>('rows-data')
const body = requireElement('rows')
let filter: Filter = { search: '', show: 'all', range: null }
let order: { column: Column; descending: boolean } = { column: 'quality', descending: false }
let shown: Row[] = []

connectHeadings()
connectFilters()
drawHistogram('quality-histogram', 'quality', histogram(rows.map((row) => row.quality), 0, 1, 20))
drawHistogram(
  'length-histogram',
  'crown_rump_length_mm',
  histogram(rows.map((row) => row.crown_rump_length_mm), 20, 100, 20),
)
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) addRows()
}, { rootMargin: '800px' }).observe(requireElement('more'))
update()
document.body.dataset['ready'] = 'true'

function update(): void {
  shown = sorted(filtered(rows, filter), order.column, order.descending)
  body.replaceChildren()
  addRows()
  requireElement('shown').textContent = `${shown.length} of ${rows.length} cases`
  for (const heading of document.querySelectorAll<HTMLElement>('[data-sort]')) {
    const isSorted = heading.dataset['sort'] === order.column
    heading.ariaSort = isSorted ? (order.descending ? 'descending' : 'ascending') : 'none'
  }
  for (const bar of document.querySelectorAll<HTMLElement>('.bar')) {
    const { column, low, high } = filter.range ?? { column: '', low: 0, high: 0 }
    const isChosen = bar.dataset['column'] === column && bar.dataset['bin'] === `${low}|${high}`
    bar.setAttribute('aria-pressed', String(isChosen))
  }
}

function addRows(): void {
  const start = body.childElementCount
  body.append(...shown.slice(start, start + CHUNK).map(rowElement))
  requireElement('more').hidden = body.childElementCount >= shown.length
}

function rowElement(row: Row): HTMLElement {
  const element = document.createElement('tr')
  const folder = `./${encodeURIComponent(row.case)}`
  const picture = document.createElement('td')
  if (row.has_page) {
    const image = document.createElement('img')
    Object.assign(image, { loading: 'lazy', width: 144, height: 48, alt: '' })
    image.src = `${folder}/thumbnail.jpg`
    picture.append(image)
  }
  const name = document.createElement('th')
  name.scope = 'row'
  if (row.has_page) {
    const link = document.createElement('a')
    link.href = `${folder}/report.html`
    link.textContent = row.case
    name.append(link)
  } else {
    name.textContent = row.case
  }
  element.append(
    picture,
    name,
    cell(row.is_done ? (row.quality?.toFixed(2) ?? '-') : 'failed', 'number'),
    cell(row.crown_rump_length_mm?.toFixed(1) ?? '', 'number'),
    cell(row.age, 'number'),
    remarks(row),
  )
  return element
}

function cell(text: string, kind: string): HTMLElement {
  const element = document.createElement('td')
  element.className = kind
  element.textContent = text
  return element
}

function remarks(row: Row): HTMLElement {
  const element = cell(row.remarks, '')
  for (const [label, text] of [['Warning', row.warnings], ['Refinement', row.changes]] as const) {
    if (text === '') continue
    const line = document.createElement('div')
    line.className = 'muted'
    line.textContent = `${label}: ${text}`
    element.append(line)
  }
  return element
}

function connectHeadings(): void {
  for (const heading of document.querySelectorAll<HTMLElement>('[data-sort]')) {
    heading.querySelector('button')?.addEventListener('click', () => {
      const column = heading.dataset['sort'] as Column
      order = { column, descending: order.column === column && !order.descending }
      update()
    })
  }
}

function connectFilters(): void {
  const search = requireElement('search') as HTMLInputElement
  const show = requireElement('show') as HTMLSelectElement
  let waiting: number | undefined
  search.addEventListener('input', () => {
    window.clearTimeout(waiting)
    waiting = window.setTimeout(() => change({ search: search.value }), SEARCH_DELAY_MS)
  })
  show.addEventListener('change', () => change({ show: show.value as Show }))
  requireElement('clear').addEventListener('click', () => {
    search.value = ''
    show.value = 'all'
    change({ search: '', show: 'all', range: null })
  })
}

function change(changes: Partial<Filter>): void {
  filter = { ...filter, ...changes }
  update()
}

/** Draw bars that show the cases of their bin when they are pressed, and all when pressed again. */
function drawHistogram(id: string, column: 'quality' | 'crown_rump_length_mm', bins: Bin[]): void {
  const largest = Math.max(...bins.map((bin) => bin.count), 1)
  const digits = column === 'quality' ? 2 : 0
  const bars = bins.map((bin) => {
    const bar = document.createElement('button')
    bar.type = 'button'
    bar.className = 'bar'
    bar.disabled = bin.count === 0
    bar.dataset['column'] = column
    bar.dataset['bin'] = `${bin.low}|${bin.high}`
    bar.title = `${bin.count} case${bin.count === 1 ? '' : 's'}, ${inWords(bin, digits)}`
    bar.setAttribute('aria-label', bar.title)
    const fill = document.createElement('span')
    fill.style.height = `${(100 * bin.count) / largest}%`
    bar.append(fill)
    bar.addEventListener('click', () => {
      const isChosen = bar.getAttribute('aria-pressed') === 'true'
      change({ range: isChosen ? null : { column, low: bin.low, high: bin.high } })
    })
    return bar
  })
  const axis = document.createElement('div')
  axis.className = 'scale-ends'
  const ends = [bins[0]?.high, bins[Math.floor(bins.length / 2)]?.low, bins.at(-1)?.low]
  const texts = ends.map((value) => value?.toFixed(digits) ?? '')
  for (const text of [`below ${texts[0]}`, texts[1], `from ${texts[2]}`]) {
    const label = document.createElement('span')
    label.textContent = text ?? ''
    axis.append(label)
  }
  const frame = document.createElement('div')
  frame.className = 'bars'
  frame.append(...bars)
  requireElement(id).append(frame, axis)
}

function inWords({ low, high }: Bin, digits: number): string {
  if (low === -Infinity) return `below ${high.toFixed(digits)}`
  if (high === Infinity) return `${low.toFixed(digits)} and more`
  return `${low.toFixed(digits)} to ${high.toFixed(digits)}`
}
