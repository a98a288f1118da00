/** "1 scan", "2 scans", "3 true boxes": a number and its noun, whose last word is put into the plural where needed. */
export function count(number: number, noun: string): string {
  return `${number} ${number === 1 ? noun : plural(noun)}`
}

/** The form of a verb that fits a number: agree(1, 'lies', 'lie'). */
export function agree(number: number, one: string, many: string): string {
  return number === 1 ? one : many
}

/** The English plural of a noun as this package's messages use them. */
function plural(noun: string): string {
  if (noun.endsWith('series')) return noun
  if (/[^aeiou]y$/.test(noun)) return `${noun.slice(0, -1)}ies`
  return /(s|x|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`
}

/** Of the names, the one that differs from the word by fewest slips (a letter more, less, other, or two swapped), if few. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const most = Math.max(1, Math.floor(word.length / 3))
  let best: { name: string; slips: number } | undefined
  for (const name of names) {
    const slips = slipsBetween(word, name)
    if (slips <= most && slips < (best?.slips ?? Infinity)) best = { name, slips }
  }
  return best?.name
}

/** Optimal string alignment distance. */
function slipsBetween(a: string, b: string): number {
  const row = (first: number): number[] => [first, ...Array.from({ length: b.length }, () => 0)]
  let before: number[] = []
  let above = row(0).map((_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = row(i)
    for (let j = 1; j <= b.length; j++) {
      const other = a[i - 1] === b[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      current[j] = Math.min(
        above[j]! + 1,
        current[j - 1]! + 1,
        above[j - 1]! + other,
        swapped ? before[j - 2]! + 1 : Infinity,
      )
    }
    ;[before, above] = [above, current]
  }
  return above[b.length]!
}
