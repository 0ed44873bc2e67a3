/** Small helpers for elements. Texts become text nodes, so names are never read as HTML. */

import { requireElement } from '../data.ts'

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  if (className !== '') element.className = className
  element.append(...children)
  return element
}

export function button(text: string, onClick: () => void): HTMLButtonElement {
  const element = make('button', '', text)
  element.type = 'button'
  element.addEventListener('click', onClick)
  return element
}

export function onClick(id: string, listener: () => void): void {
  requireElement(id).addEventListener('click', listener)
}

/** Find an element of the page by its id, of a known kind. */
export function find<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  id: string,
): HTMLElementTagNameMap[K] {
  const element = requireElement(id)
  if (element.localName !== tag) throw new Error(`${id} is no ${tag}`)
  return element as HTMLElementTagNameMap[K]
}

/** Show a dialog; resolves with what its button says, "" if it was closed. */
export function ask(id: string): Promise<string> {
  const dialog = find('dialog', id)
  dialog.returnValue = ''
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue), { once: true })
  })
}

/** Say something to everybody, also to a screen reader. */
export function say(words: string): void {
  requireElement('message').textContent = words
}
