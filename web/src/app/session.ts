/** The case that is open: what is shown of it, and every action on it. */

import type { Position } from '../data.ts'
import { centerOf } from '../skeleton.ts'
import type { Actions } from './actions.ts'
import * as api from './api.ts'
import type { Author } from './author.ts'
import { renderCase, renderMoving } from './case_view.ts'
import { find, say } from './dom.ts'
import { drawnPose, fragmentOf, isSame, nextDoubtful, nextRow, nudged, withPosition } from './state.ts'
import type { Scene, Viewport } from './viewport.ts'
import { Volumes } from './volumes.ts'
import type { WorkList } from './work_list.ts'
import { actionWords, plainName } from './words.ts'

const NUDGE_MM = 1
/** Steps of the keyboard are one correction if they follow each other faster. */
const NUDGE_PAUSE_MS = 500

export class Session {
  private readonly list: WorkList
  private readonly actions: Actions
  private readonly author: Author
  private readonly changed: (name: string) => void
  viewport: Viewport | null = null
  private detail: api.CaseDetail | null = null
  private selected: number | null = null
  private isPredicted = false
  private readonly drafts = new Map<number, Position>()
  private nudging: { row: number; timer: number } | null = null
  private readonly volumes = new Volumes()
  private opening = 0

  /**
   * @param changed called with the name of a case after each correction of it
   */
  constructor(
    list: WorkList,
    actions: Actions,
    author: Author,
    changed: (name: string) => void,
  ) {
    this.list = list
    this.actions = actions
    this.author = author
    this.changed = changed
  }

  /** Open a case; the volume follows its texts. */
  async open(name: string): Promise<void> {
    this.opening += 1
    const { opening } = this
    const detail = await api.getCase(name, this.author.name)
    if (opening !== this.opening) return
    this.stopPlacing()
    this.drafts.clear()
    ;[this.detail, this.selected, this.isPredicted] = [detail, null, false]
    history.replaceState(null, '', fragmentOf(name))
    this.list.update(detail)
    await this.showVolume(detail, opening)
    if (opening !== this.opening) return
    this.render(centerOf(drawnPose(detail, detail.pose).landmarks))
    document.body.dataset['case'] = name
    say(`${name} is open.`)
    void this.prepareNext(detail)
  }

  /** Look whether another window or person has changed the case. */
  async synchronize(): Promise<void> {
    const { detail } = this
    if (detail === null || this.actions.isBusy || this.drafts.size > 0) return
    const now = await api.getCase(detail.name, this.author.name)
    if (this.detail !== detail || this.actions.isBusy || isSame(detail, now)) return
    if (now.volume_key !== detail.volume_key) {
      await this.open(now.name)
      return
    }
    this.show(now)
    const last = now.history.entries.at(-1)
    say(last === undefined ? 'The case has changed.' : `${last.author}: ${actionWords(last.action)}.`)
  }

  /** Choose a landmark by its row; the slices go through it. */
  select(row: number): void {
    if (this.nudging !== null && this.nudging.row !== row) void this.flush()
    this.selected = row
    this.stopPlacing()
    this.render(this.marks()[row]?.position)
  }

  step(direction: 1 | -1): void {
    const count = this.detail?.pose.length ?? 0
    if (count > 0) this.select(nextRow(this.selected, direction, count))
  }

  selectDoubtful(): void {
    const row = this.detail === null ? null : nextDoubtful(this.marks(), this.selected)
    if (row !== null) this.select(row)
    else say('All other landmarks are reviewed.')
  }

  /** The landmark follows the pointer. */
  drag(row: number, position: Position): void {
    const predicted = this.detail?.prediction[row]
    this.drafts.set(row, position)
    const mark = this.marks()[row]
    if (mark === undefined || predicted === undefined) return
    const scene = this.scene()
    if (scene !== null) this.viewport?.follow(scene, position)
    renderMoving(mark, predicted)
  }

  /** Move or place a landmark, by default the selected one. */
  async move(position: Position, row = this.selected): Promise<void> {
    const mark = row === null ? undefined : this.detail?.pose[row]
    if (row === null || mark === undefined) return
    this.stopPlacing()
    this.drafts.set(row, position)
    this.render(position)
    await this.correct({ action: 'move', landmarks: [mark.name], position }, () => {
      if (this.drafts.get(row) === position) this.drafts.delete(row)
    })
  }

  /** Move the selected landmark by a key; false if the key moves nothing. */
  nudge(key: string): boolean {
    const row = this.selected
    const at = row === null ? null : (this.marks()[row]?.position ?? null)
    if (row === null || at === null || this.isPredicted) return false
    const position = nudged(at, key, NUDGE_MM)
    if (position === null) return false
    this.drag(row, position)
    if (this.nudging !== null) window.clearTimeout(this.nudging.timer)
    this.nudging = { row, timer: window.setTimeout(() => void this.flush(), NUDGE_PAUSE_MS) }
    return true
  }

  /** An action on the selected landmark. */
  async correctSelected(action: string): Promise<void> {
    const mark = this.selected === null ? undefined : this.detail?.pose[this.selected]
    if (mark !== undefined) await this.correct({ action, landmarks: [mark.name] })
  }

  /** Accept the selected landmark, and select the most doubtful one. */
  async acceptSelected(): Promise<void> {
    await this.correctSelected('accept')
    const row = this.detail === null ? null : nextDoubtful(this.detail.pose, this.selected)
    if (row !== null) this.select(row)
  }

  /** Exchange left and right of the body. */
  exchangeBody(): Promise<void> {
    return this.correct({ action: 'exchange' })
  }

  reopen(): Promise<void> {
    return this.correct({ action: 'reopen' })
  }

  /** Close a case, as accepted or with a problem, and open the next one. */
  async finish(correction: api.Correction): Promise<void> {
    const name = this.detail?.name
    await this.correct(correction, async () => {
      void this.list.refresh()
      if (name === this.detail?.name) await this.openNext()
    })
  }

  /** Open the case that is to be done next. */
  async openNext(): Promise<void> {
    const name = this.detail?.name ?? ''
    const next = await this.list.next(name)
    if (next === null) say('No other case is to be done.')
    else await this.open(next)
  }

  async openPrevious(): Promise<void> {
    const name = this.list.previous(this.detail?.name ?? '')
    if (name !== null) await this.open(name)
  }

  /** Undo, redo, or let the other landmarks follow. */
  async take(step: 'undo' | 'redo' | 'ask'): Promise<void> {
    await this.flush()
    const words = actionWords(step)
    await this.change(words, (name, author) => api.postStep(name, author, step))
  }

  togglePredicted(): void {
    this.isPredicted = !this.isPredicted
    this.stopPlacing()
    this.render()
    say(this.isPredicted ? 'This is the prediction; press B for the corrections.' : 'These are the corrections.')
  }

  togglePlacing(): void {
    if (this.viewport === null || this.selected === null) return
    const isPlacing = !this.viewport.placing
    this.stopPlacing()
    this.viewport.placing = isPlacing
    document.body.classList.toggle('placing', isPlacing)
    this.render()
    if (isPlacing) say(`Click in a slice where the ${plainName(this.marks()[this.selected]?.name ?? '')} lies.`)
  }

  placeAtCrosshair(): void {
    if (this.viewport !== null) void this.move(this.viewport.crosshair())
  }

  /** Name of the case that is open, or null. */
  get name(): string | null {
    return this.detail?.name ?? null
  }

  /** What a person wrote about its problem. */
  get note(): string {
    return this.detail?.note ?? ''
  }

  stopPlacing(): void {
    if (this.viewport !== null) this.viewport.placing = false
    document.body.classList.remove('placing')
  }

  /** Forget what the server did not take, and show what it knows. */
  revert(): void {
    this.drafts.clear()
    this.render()
  }

  /** Show everything, with the crosshair at a point if one is given. */
  render(at: Position | null = null): void {
    const { detail, selected, isPredicted } = this
    if (detail === null) return
    const isPlacing = this.viewport?.placing ?? false
    const marks = this.marks()
    renderCase({ detail, marks, selected, isPredicted, isPlacing }, (row) => this.select(row))
    const picture = find('img', 'picture')
    picture.hidden = this.viewport !== null || !detail.has_volume
    if (!picture.hidden) picture.src = api.pictureUrl(detail)
    const scene = this.scene()
    if (scene !== null) this.viewport?.draw(scene, at)
  }

  /** What the viewer draws, or null if there is no volume. */
  private scene(): Scene | null {
    const { detail, selected } = this
    if (detail === null || !detail.has_volume) return null
    const marks = this.marks()
    const predicted = selected === null ? null : (detail.prediction[selected]?.position ?? null)
    const isMoved = selected !== null && predicted?.some((v, axis) => v !== marks[selected]?.position?.[axis])
    return {
      ...drawnPose(detail, marks),
      selected,
      predicted: isMoved ? predicted : null,
      isLocked: this.isPredicted,
    }
  }

  private marks(): readonly api.Mark[] {
    const { detail } = this
    if (detail === null) return []
    if (this.isPredicted) return detail.prediction
    return [...this.drafts].reduce<readonly api.Mark[]>(
      (marks, [row, position]) => withPosition(marks, row, position),
      detail.pose,
    )
  }

  private async correct(correction: api.Correction, after?: () => void | Promise<void>): Promise<void> {
    if (this.nudging !== null && correction.action !== 'move') await this.flush()
    const { action } = correction
    await this.change(
      actionWords(action),
      (name, author) => api.postCorrection(name, author, correction),
      after,
    )
  }

  private async change(
    words: string,
    send: (name: string, author: string) => Promise<api.CaseDetail>,
    after?: () => void | Promise<void>,
  ): Promise<void> {
    const name = this.detail?.name
    if (name === undefined || this.isPredicted) return
    const author = await this.author.require()
    if (author === '') {
      this.revert()
      return
    }
    await this.actions.do(words, async () => {
      const detail = await send(name, author)
      this.changed(name)
      say(`Saved: ${words}.`)
      if (after !== undefined && this.detail?.name === name) this.detail = detail
      await after?.()
      this.show(detail)
    })
  }

  private show(detail: api.CaseDetail): void {
    if (detail.name !== this.detail?.name) return
    this.detail = detail
    this.list.update(detail)
    this.render()
  }

  /** Send what the keyboard has moved. Whoever opens another case calls this before. */
  async flush(): Promise<void> {
    const { nudging } = this
    if (nudging === null) return
    this.nudging = null
    window.clearTimeout(nudging.timer)
    const position = this.drafts.get(nudging.row)
    if (position !== undefined) await this.move(position, nudging.row)
  }

  private async showVolume(detail: api.CaseDetail, opening: number): Promise<void> {
    const notice = find('p', 'notice')
    find('div', 'view').hidden = this.viewport === null || !detail.has_volume
    const words = detail.has_volume ? '' : 'The volume of this case is not there, so only the landmarks are shown.'
    if (this.viewport !== null || words !== '') notice.textContent = words
    notice.hidden = notice.textContent === ''
    if (this.viewport === null || !detail.has_volume) return
    const volume = await this.volumes.get(detail)
    if (opening === this.opening) await this.viewport.load(volume)
  }

  private async prepareNext(detail: api.CaseDetail): Promise<void> {
    if (detail.has_volume) api.prepare(detail.name)
    try {
      const name = await this.list.next(detail.name)
      if (name === null || this.viewport === null) return
      const next = await api.getCase(name, this.author.name)
      if (next.has_volume) await this.volumes.get(next)
    } catch {
      // It is fetched again when it is opened, and then says what is wrong.
    }
  }
}
