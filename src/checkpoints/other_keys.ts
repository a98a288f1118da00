/** Which keys of two runs' hypes differ. */

/**
 * Keys that no weight depends on: where data come from, how they vary, how long and how training goes, and the frame,
 * over which the same weights are moved.
 */
const FREE =
  /^(?:logging|solver|augment|jitter|sampling)\.|^data\.(?!channels$)|^(?:slim_ckpt|batch_size|clip_norm|dropout|batch_norm_momentum|focus_size|biggest_box_px|rezoom_change_loss|(?:image|grid)_(?:width|height))$/

/** Keys as group.key with their values as JSON. */
export function* flatKeys(value: object, group = ''): Generator<[string, string]> {
  for (const [name, item] of Object.entries(value) as [string, unknown][])
    if (typeof item === 'object' && item !== null && !Array.isArray(item))
      yield* flatKeys(item, `${group}${name}.`)
    else yield [group + name, JSON.stringify(item)]
}

/** The keys of which the network is made that have other values, with the checkpoint's value and this run's. */
export function otherKeys(there: object, here: object): [key: string, there: string, here: string][] {
  const before = new Map(flatKeys(there))
  return [...flatKeys(here)].flatMap(([key, value]) => {
    const other = before.get(key)!
    return FREE.test(key) || other === value ? [] : [[key, other, value] as [string, string, string]]
  })
}
