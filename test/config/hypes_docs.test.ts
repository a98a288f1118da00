import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { expect, it } from 'vitest'
import { HYPES_KEYS } from '../../src/config/hypes.js'
import { PATCH_HYPES_KEYS } from '../../src/config/patch_hypes.js'
import type { Key, Keys } from '../../src/config/schema.js'
import { PACKAGE_ROOT } from '../../src/version.js'

/** Rows of one group and of those below it. */
function* rows(keys: Keys, group = ''): Generator<string[]> {
  for (const [name, item] of Object.entries(keys)) {
    if (!isKey(item)) yield* rows(item, `${group}${name}.`)
    else {
      const key = `\`${group}${name}\``
      yield [
        key,
        item.doc.replaceAll('|', '\\|'),
        item.unit,
        `\`${JSON.stringify(item.default)}\``,
        item.expected,
      ]
    }
  }
}

function isKey(item: Key<unknown> | Keys): item is Key<unknown> {
  return typeof item['doc'] === 'string'
}

const table = (keys: Keys): string =>
  [['key', 'meaning', 'unit', 'default', 'takes'], ['-', '-', '-', '-', '-'], ...rows(keys)]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')

it('docs/hypes.md lists every key as the schema has it', async () => {
  const path = join(PACKAGE_ROOT, 'docs', 'hypes.md')
  const text = `# The keys of hypes

Every key of a hypes file with its default, written from the schema by \`npx vitest run test/config/hypes_docs.test.ts -u\`.
Keys are TensorBox's where it has them; those marked (nodule) are ours. A file may name another as \`"base"\` and then holds
only what differs; \`--set group.key=value\` changes single keys for one run. Unknown keys are errors.

## Of a detector (\`nodule train hypes/lstm_rezoom_lung.json\`)

${table(HYPES_KEYS)}

## Of a second stage (\`"kind": "patches"\`, \`nodule train hypes/lung_second.json\`)

${table(PATCH_HYPES_KEYS)}
`
  const formatted = await format(text, { parser: 'markdown', ...(await resolveConfig(path)) })
  await expect(formatted).toMatchFileSnapshot(path)
})
