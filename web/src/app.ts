/** The application of `fetusmap serve`: work list, viewer and corrections. */

import { Actions } from './app/actions.ts'
import { getStatus } from './app/api.ts'
import { Author } from './app/author.ts'
import { ask, find, make, onClick, say } from './app/dom.ts'
import { type Command, commandOf, KEYS } from './app/keys.ts'
import { Session } from './app/session.ts'
import { caseInFragment } from './app/state.ts'
import { Uploads } from './app/uploads.ts'
import { Viewport } from './app/viewport.ts'
import { WorkList } from './app/work_list.ts'
import { type Position, requireElement } from './data.ts'
import { canDraw, type Layout } from './viewer.ts'

const POLL_MS = 4000
const LIST_POLL_MS = 20_000
const LAYOUTS: readonly (readonly [Layout, string])[] = [
  ['all', 'Slices and 3D'],
  ['slices', 'Slices'],
  ['3d', '3D'],
]
const SIDE_COLORS = { left: '#62a8ee', right: '#f9a453', midline: '#ffffff' }

const channel = new BroadcastChannel('fetusmap')
const actions = new Actions(() => session.revert())
const list = new WorkList((name) => void open(name), (error) => say(String(error)))
const author = new Author(() => void synchronize())
const session: Session = new Session(list, actions, author, (name) => channel.postMessage(name))
let layout = 0

void start()

async function start(): Promise<void> {
  connectControls()
  fillHelp()
  document.addEventListener('keydown', press, { capture: true })
  document.addEventListener('click', releaseFocus, { capture: true })
  find('main', 'case').hidden = false // the viewer needs its size
  if (canDraw()) await startViewport()
  else refuseViewport('This browser has no WebGL 2, so still pictures are shown.')
  await actions.do('Open the work list', begin)
  document.body.dataset['ready'] = 'true'
}

async function begin(): Promise<void> {
  const status = await getStatus()
  find('strong', 'folder').textContent = status.name
  const uploads = new Uploads(status, (name) => void open(name), (name) => {
    void list.refresh()
    if (name === session.name) void synchronize()
  })
  onClick('predict', () => {
    const { name } = session
    if (name !== null) void actions.do('Predict', () => uploads.predict(name))
  })
  await list.refresh()
  connectOthers()
  const name = caseInFragment(location.hash) ?? list.first()
  if (name !== null) await session.open(name)
  else {
    find('main', 'case').hidden = true
    find('p', 'empty').hidden = false
  }
}

async function startViewport(): Promise<void> {
  try {
    session.viewport = await Viewport.start(find('div', 'view'), SIDE_COLORS, {
      select: (row) => session.select(row),
      drag: (row, position) => session.drag(row, position),
      drop: (row, position) => void session.move(position, row),
      place: (position) => void session.move(position),
    })
    // For tests and for the console: where a point is on the screen.
    Object.assign(window, { fetusmap: { pixelsOf: (point: Position) => session.viewport?.pixelsOf(point) } })
  } catch (error) {
    refuseViewport(`The volume cannot be drawn here (${String(error)}), so still pictures are shown.`)
  }
}

function refuseViewport(reason: string): void {
  find('p', 'notice').textContent = reason
  find('div', 'view').hidden = true
  for (const id of ['layout', 'zoom-in', 'zoom-out', 'brightness', 'contrast', 'restore']) {
    ;(requireElement(id) as HTMLButtonElement).disabled = true
  }
}

function open(name: string): Promise<void> {
  return go('Open the case', () => session.open(name))
}

/** Leave the case that is open. */
async function go(words: string, run: () => Promise<void>): Promise<void> {
  await session.flush()
  await actions.do(words, run)
}

function connectOthers(): void {
  channel.addEventListener('message', (event) => {
    void list.refresh()
    if (event.data === session.name) void synchronize()
  })
  window.addEventListener('focus', () => {
    void list.refresh()
    void synchronize()
  })
  window.addEventListener('hashchange', () => {
    const name = caseInFragment(location.hash)
    if (name !== null && name !== session.name) void open(name)
  })
  window.setInterval(() => document.hidden || void synchronize(), POLL_MS)
  window.setInterval(() => document.hidden || void list.refresh(), LIST_POLL_MS)
}

async function synchronize(): Promise<void> {
  try {
    await session.synchronize()
  } catch (error) {
    say(String(error instanceof Error ? error.message : error))
  }
}

const DO: Readonly<Record<Command, () => void>> = {
  help: () => void ask('help-dialog'),
  previous: () => session.step(-1),
  next: () => session.step(1),
  doubtful: () => session.selectDoubtful(),
  accept: () => void session.acceptSelected(),
  absent: () => void session.correctSelected('absent'),
  outside: () => void session.correctSelected('outside'),
  place: () => session.togglePlacing(),
  here: () => session.placeAtCrosshair(),
  limb: () => void session.correctSelected('exchange'),
  body: () => void session.exchangeBody(),
  reset: () => void session.correctSelected('reset'),
  accept_case: () => void session.finish({ action: 'accept_case' }),
  next_case: () => void go('Next case', () => session.openNext()),
  previous_case: () => void go('Case before', () => session.openPrevious()),
  ask: () => void session.take('ask'),
  undo: () => void session.take('undo'),
  redo: () => void session.take('redo'),
  problem: () => void report(),
  reopen: () => void session.reopen(),
  predicted: () => session.togglePredicted(),
  zoom_in: () => session.viewport?.enlarge(1.25),
  zoom_out: () => session.viewport?.enlarge(0.8),
  restore: () => restore(),
  darker: () => changeBrightness(-10),
  brighter: () => changeBrightness(10),
  layout: () => changeLayout(),
  list: () => toggleList(),
  search: () => showSearch(),
  cancel: () => cancel(),
}

/** Do what a key or a button asks for, unless its button says that it is not possible now. */
function run(command: Command): void {
  const its = document.querySelector<HTMLButtonElement>(`[data-command='${command}']`)
  if (its?.disabled) say('That is not possible now.')
  else DO[command]()
}

function press(event: KeyboardEvent): void {
  const target = event.target as HTMLElement
  if (document.querySelector('dialog[open]') !== null) return
  const isField = target.matches('input, select')
  const isPressed = target.matches('button, a, summary') && (event.key === 'Enter' || event.key === ' ')
  if (isPressed || (isField && event.key !== 'Escape')) return
  if (moveFocus(target, event.key) || (event.shiftKey && session.nudge(event.key))) return stop(event)
  const command = commandOf(event)
  if (command === null || (event.repeat && command === 'accept_case')) return
  stop(event)
  if (isField) target.blur()
  run(command)
}

/** After a click with a pointer, Enter means the case again and not the button. */
function releaseFocus(event: MouseEvent): void {
  const isPointer = event instanceof PointerEvent && event.pointerType !== ''
  const its = (event.target as HTMLElement).closest<HTMLElement>('#panel button, #cases button, .controls button')
  if (isPointer) its?.blur()
}

function stop(event: Event): void {
  event.preventDefault()
  event.stopPropagation()
}

/** In the work list the arrows go from case to case. */
function moveFocus(target: HTMLElement, key: string): boolean {
  if (!find('ol', 'cases').contains(target) || (key !== 'ArrowUp' && key !== 'ArrowDown')) return false
  const line = target.closest('li')
  const other = key === 'ArrowUp' ? line?.previousElementSibling : line?.nextElementSibling
  other?.querySelector<HTMLElement>('button')?.focus()
  return true
}

async function report(): Promise<void> {
  find('input', 'note').value = session.note
  const answer = await ask('problem-dialog')
  const note = find('input', 'note').value.trim()
  if (answer === 'ok') await session.finish({ action: 'problem', note })
}

function changeLayout(): void {
  layout = (layout + 1) % LAYOUTS.length
  const [kind, words] = LAYOUTS[layout] ?? ['all', '']
  session.viewport?.arrange(kind)
  find('button', 'layout').textContent = words
}

function changeBrightness(step: number): void {
  const input = find('input', 'brightness')
  input.value = String(Number(input.value) + step)
  applyContrast()
}

function applyContrast(): void {
  const [brightness, contrast] = [find('input', 'brightness'), find('input', 'contrast')]
  session.viewport?.setContrast(Number(brightness.value), Number(contrast.value))
}

function restore(): void {
  find('input', 'brightness').value = '0'
  find('input', 'contrast').value = '1'
  session.viewport?.enlarge(0)
  applyContrast()
}

function toggleList(isHidden?: boolean): void {
  const hidden = document.body.classList.toggle('list-hidden', isHidden)
  find('button', 'toggle-list').ariaExpanded = String(!hidden)
}

function showSearch(): void {
  toggleList(false)
  find('input', 'search').focus()
}

function cancel(): void {
  session.viewport?.cancel()
  session.stopPlacing()
  session.revert()
}

function connectControls(): void {
  for (const element of document.querySelectorAll<HTMLElement>('[data-command]')) {
    element.addEventListener('click', () => run(element.dataset['command'] as Command))
  }
  const commands: [string, Command][] = [
    ['help', 'help'], ['layout', 'layout'], ['predicted', 'predicted'], ['zoom-in', 'zoom_in'],
    ['zoom-out', 'zoom_out'], ['restore', 'restore'], ['toggle-list', 'list'],
  ]
  for (const [id, command] of commands) onClick(id, () => run(command))
  let frame = 0
  for (const id of ['brightness', 'contrast']) {
    find('input', id).addEventListener('input', () => {
      cancelAnimationFrame(frame)
      frame = requestAnimationFrame(applyContrast)
    })
  }
}

function fillHelp(): void {
  const rows = KEYS.map(({ shown, words }) => {
    const heading = make('th', '', make('kbd', '', shown))
    heading.scope = 'row'
    return make('tr', '', heading, make('td', '', words))
  })
  const moves = make('th', '', make('kbd', '', 'Shift + ←→↑↓, PgUp, PgDn'))
  moves.scope = 'row'
  rows.splice(6, 0, make('tr', '', moves, make('td', '', 'move the landmark by 1 mm')))
  find('tbody', 'keys').replaceChildren(...rows)
}
