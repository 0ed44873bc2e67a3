/** Stands in for the reader of Zarr stores, which no page uses. */

function refuse(): never {
  throw new Error('this page reads no Zarr stores')
}

export const get = refuse
export const open = refuse
export const root = refuse
export const slice = refuse
export class FetchStore {
  constructor() {
    refuse()
  }
}
