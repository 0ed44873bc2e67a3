/** The keys of the application: one table for what they do and for the help. */

export type Command =
  | 'help' | 'previous' | 'next' | 'doubtful' | 'accept' | 'absent' | 'outside' | 'place' | 'here'
  | 'limb' | 'body' | 'reset' | 'accept_case' | 'next_case' | 'previous_case' | 'ask' | 'undo'
  | 'redo' | 'problem' | 'reopen' | 'predicted' | 'zoom_in' | 'zoom_out' | 'restore' | 'darker'
  | 'brighter' | 'layout' | 'list' | 'search' | 'cancel'

export interface Key {
  readonly command: Command
  readonly shown: string
  readonly words: string
  readonly keys: readonly string[]
}

/** In the order of the help. A key is what `keyName` returns. */
export const KEYS: readonly Key[] = [
  { command: 'previous', keys: ['ArrowUp'], shown: '↑', words: 'landmark before' },
  { command: 'next', keys: ['ArrowDown'], shown: '↓', words: 'landmark after' },
  { command: 'doubtful', keys: ['n'], shown: 'N', words: 'most doubtful landmark that is not reviewed' },
  { command: 'accept', keys: ['a'], shown: 'A', words: 'accept the landmark, and go to the most doubtful one' },
  { command: 'place', keys: ['c'], shown: 'C', words: 'place or move the landmark with a click' },
  { command: 'here', keys: ['m'], shown: 'M', words: 'place or move the landmark to the crosshair' },
  { command: 'absent', keys: ['d'], shown: 'D', words: 'the landmark is not in the volume' },
  { command: 'outside', keys: ['o'], shown: 'O', words: 'the landmark lies outside of the volume' },
  { command: 'limb', keys: ['x'], shown: 'X', words: 'exchange left and right of its limb' },
  { command: 'body', keys: ['X'], shown: 'Shift + X', words: 'exchange left and right of the body' },
  { command: 'reset', keys: ['r'], shown: 'R', words: 'the landmark as predicted' },
  { command: 'ask', keys: ['f'], shown: 'F', words: 'the other landmarks follow yours' },
  { command: 'undo', keys: ['z', 'ctrl+z'], shown: 'Z', words: 'undo your last action' },
  { command: 'redo', keys: ['y', 'Z', 'ctrl+y', 'ctrl+Z'], shown: 'Y', words: 'redo it' },
  { command: 'accept_case', keys: ['Enter'], shown: 'Enter', words: 'accept the case, and go to the next one' },
  { command: 'next_case', keys: ['j'], shown: 'J', words: 'next case, without accepting' },
  { command: 'previous_case', keys: ['k'], shown: 'K', words: 'case before' },
  { command: 'problem', keys: ['p'], shown: 'P', words: 'the case cannot be annotated: write why' },
  { command: 'reopen', keys: ['t'], shown: 'T', words: 'the case is to do again' },
  { command: 'predicted', keys: ['b'], shown: 'B', words: 'show the prediction, or the corrections' },
  { command: 'layout', keys: ['v'], shown: 'V', words: 'slices and 3D, slices, or 3D' },
  { command: 'zoom_in', keys: ['+', '='], shown: '+', words: 'enlarge around the crosshair' },
  { command: 'zoom_out', keys: ['-'], shown: '−', words: 'make smaller' },
  { command: 'brighter', keys: [']'], shown: ']', words: 'brighter' },
  { command: 'darker', keys: ['['], shown: '[', words: 'darker' },
  { command: 'restore', keys: ['0'], shown: '0', words: 'zoom and contrast as at the start' },
  { command: 'list', keys: ['l'], shown: 'L', words: 'show or hide the work list' },
  { command: 'search', keys: ['/'], shown: '/', words: 'search the work list' },
  { command: 'help', keys: ['?'], shown: '?', words: 'show the keys' },
  { command: 'cancel', keys: ['Escape'], shown: 'Esc', words: 'stop placing, close a window' },
]

const COMMANDS = new Map(KEYS.flatMap(({ command, keys }) => keys.map((key) => [key, command])))

interface Pressed {
  readonly key: string
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly altKey: boolean
}

/** What a pressed key asks for, or null. A letter with Shift is its capital, also for Caps Lock. */
export function commandOf(pressed: Pressed & { readonly shiftKey: boolean }): Command | null {
  if (pressed.altKey) return null
  const isLetter = /^[a-z]$/i.test(pressed.key)
  const key = isLetter
    ? pressed.shiftKey ? pressed.key.toUpperCase() : pressed.key.toLowerCase()
    : pressed.key
  return COMMANDS.get(pressed.ctrlKey || pressed.metaKey ? `ctrl+${key}` : key) ?? null
}
