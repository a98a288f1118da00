/** Keys that TensorBox's train.py writes into the hypes.json of a run: names of folders, and which GPU it was. */
const WITHOUT_EFFECT = ['exp_name', 'save_dir', 'logdir', 'solver.gpu']

/** TensorBox writes false for the rezoom_change_loss "none", and keys that have no meaning here. */
export function inOurWords(value: unknown, path: string, onWarning?: (warning: string) => void): unknown {
  if (!isGroup(value)) return value
  const result: Record<string, unknown> = { ...value }
  if (isGroup(result['solver'])) result['solver'] = { ...result['solver'] }
  const dropped = WITHOUT_EFFECT.filter((name) => {
    const [key, inner] = name.split('.') as [string, string?]
    const group = inner === undefined ? result : result[key]
    const own = inner ?? key
    if (!isGroup(group) || !Object.hasOwn(group, own)) return false
    delete group[own]
    return true
  })
  if (dropped.length > 0) onWarning?.(`${path}: without effect here: ${dropped.join(', ')}`)
  if (result['rezoom_change_loss'] === false) result['rezoom_change_loss'] = 'none'
  return result
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
