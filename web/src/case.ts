/** The page of a case: slices, 3D view and landmark list that follow each other. */

import { confidenceColor } from './colors.ts'
import { type CaseData, type Position, readJson, requireElement } from './data.ts'
import { centileAt, centileInWords } from './growth.ts'
import { centerOf, nearestLandmark } from './skeleton.ts'
import { canDraw, type Layout, openViewer, type Viewer } from './viewer.ts'

/** The crosshair marks a landmark in the list if it lies at most this far from it. */
const NEAR_MM = 4

const data = readJson<CaseData>('case-data')
const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')]
colorSwatches()
connectCentile()
void start()

async function start(): Promise<void> {
  if (!canDraw()) return refuse('This browser has no WebGL 2, so the page shows still pictures.')
  document.body.classList.add('is-live')
  try {
    const canvas = requireElement('canvas') as HTMLCanvasElement
    let select: (row: number | null) => void = () => undefined
    const viewer = await openViewer(canvas, decodeVolume(), data, (point) => {
      select(nearestLandmark(data.landmarks, point, NEAR_MM))
    })
    select = connectLandmarks(viewer)
    connectButtons(viewer)
    const center = centerOf(data.landmarks)
    if (center !== null) viewer.lookAt(center)
    document.body.dataset['viewer'] = 'ready'
  } catch (error) {
    document.body.classList.remove('is-live')
    refuse(`The volume cannot be drawn here (${String(error)}), so the page shows still pictures.`)
  }
}

function refuse(reason: string): void {
  const notice = requireElement('still-notice')
  notice.textContent = reason
  notice.hidden = false
  document.body.dataset['viewer'] = 'still'
}

function decodeVolume(): ArrayBuffer {
  const text = atob((requireElement('volume').textContent ?? '').trim())
  const bytes = new Uint8Array(text.length)
  for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n)
  return bytes.buffer
}

/** Let the list and the slices select a landmark; returns the function that marks one. */
function connectLandmarks(viewer: Viewer): (row: number | null) => void {
  let selected: number | null = null
  const select = (row: number | null) => {
    if (row === selected) return
    selected = row
    viewer.select(row)
    for (const element of rows) {
      const isSelected = Number(element.dataset['row']) === row
      element.classList.toggle('is-selected', isSelected)
      element.querySelector('button')?.setAttribute('aria-pressed', String(isSelected))
    }
    requireElement('selected').textContent = row === null ? '' : describe(row)
  }
  for (const element of rows) {
    const row = Number(element.dataset['row'])
    const at: Position | null = data.landmarks[row]?.position_mm ?? null
    if (at === null) continue
    element.querySelector('button')?.addEventListener('click', () => {
      viewer.lookAt(at)
      select(row)
    })
  }
  return select
}

function describe(row: number): string {
  const landmark = data.landmarks[row]
  if (landmark === undefined) return ''
  const sure = Math.round(100 * landmark.confidence)
  return `${landmark.name.replaceAll('_', ' ')}, confidence ${sure} %`
}

function connectButtons(viewer: Viewer): void {
  const buttons = [...document.querySelectorAll<HTMLButtonElement>('[data-layout]')]
  for (const button of buttons) {
    button.addEventListener('click', () => {
      viewer.arrange(button.dataset['layout'] as Layout)
      for (const other of buttons) other.setAttribute('aria-pressed', String(other === button))
    })
  }
  const inVolume = requireElement('in-volume') as HTMLInputElement
  inVolume.addEventListener('change', () => viewer.showVolumeIn3d(inVolume.checked))
}

function colorSwatches(): void {
  for (const element of rows) {
    const landmark = data.landmarks[Number(element.dataset['row'])]
    const swatch = element.querySelector<HTMLElement>('.swatch')
    if (landmark === undefined || landmark.position_mm === null || swatch === null) continue
    swatch.style.backgroundColor = `rgb(${confidenceColor(landmark.confidence).join(' ')})`
  }
}

/** Say where the length lies on the growth chart at an age that the reader enters. */
function connectCentile(): void {
  const weeks = document.getElementById('age-weeks') as HTMLInputElement | null
  const days = document.getElementById('age-days') as HTMLInputElement | null
  const length = data.crown_rump_length_mm
  if (weeks === null || days === null || length === null) return
  const update = () => {
    const output = requireElement('centile')
    if (weeks.value === '') {
      output.textContent = ''
      return
    }
    const centile = centileAt(data.chart, length, 7 * Number(weeks.value) + Number(days.value))
    const range = [data.chart.first_day, data.chart.first_day + data.chart.mean_mm.length - 1]
    const [low, high] = range.map((day) => `${Math.floor(day / 7)}+${day % 7}`)
    output.textContent =
      centile === null
        ? `The chart covers ${low} to ${high} weeks.`
        : `At this age the length lies ${centileInWords(centile)}.`
  }
  weeks.addEventListener('input', update)
  days.addEventListener('input', update)
}
