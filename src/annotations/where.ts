import jsep from 'jsep'
import type { Expression } from 'jsep'
import { NoduleError } from '../errors.js'
import { show } from '../check.js'

/** What an expression can name. */
export type Fields = Readonly<Record<string, number | string | undefined>>

type Value = number | string | boolean | undefined

/** What an expression gives. */
type Kind = 'number' | 'text' | 'condition'

const MAX_LENGTH = 1000

/**
 * Compiles a condition such as `malignancy >= 4 && readers >= 3 && equivalentDiameter > 8`: numbers, 'texts', the given names,
 * + - * / %, comparisons of like with like, && || !, and brackets. It is parsed, never run as code. A comparison with a
 * missing value is false.
 *
 * @param names what may be named
 * @param aliases other names for some of them
 * @param texts those of the names that are texts; the others are numbers
 * @throws NoduleError INVALID_PARAMETER that says what is wrong with the expression
 */
export function compileWhere(
  expression: string,
  names: readonly string[],
  aliases: Readonly<Record<string, string>> = {},
  texts: readonly string[] = [],
): (fields: Fields) => boolean {
  const wrong = (expected: string, actual: string): NoduleError =>
    new NoduleError('INVALID_PARAMETER', `wrong condition ${show(expression)}`, { expected, actual })
  if (expression.length > MAX_LENGTH)
    throw wrong(`at most ${MAX_LENGTH} characters`, String(expression.length))
  let tree: Expression
  try {
    tree = jsep(expression)
  } catch (error) {
    throw wrong('an expression', error instanceof Error ? error.message : show(error))
  }
  const kind = check(tree, { names, aliases, texts, wrong })
  if (kind !== 'condition') throw wrong('a condition, such as readers >= 3', `a ${kind}`)
  return (fields) => evaluate(tree, fields) === true
}

interface Language {
  names: readonly string[]
  aliases: Readonly<Record<string, string>>
  texts: readonly string[]
  wrong: (expected: string, actual: string) => NoduleError
}

type Binary = jsep.BinaryExpression
type Unary = jsep.UnaryExpression
type Name = jsep.Identifier
type Literal = jsep.Literal

const isBinary = (node: Expression): node is Binary =>
  node.type === 'BinaryExpression' || node.type === 'LogicalExpression'
const isUnary = (node: Expression): node is Unary => node.type === 'UnaryExpression'
const isName = (node: Expression): node is Name => node.type === 'Identifier'
const isLiteral = (node: Expression): node is Literal => node.type === 'Literal'

/**
 * Refuses everything that `evaluate` does not know or that compares unlike things, before the first nodule is looked at,
 * and puts names for aliases. Returns what the expression gives.
 */
function check(node: Expression, language: Language): Kind {
  const { names, aliases, texts, wrong } = language
  if (isBinary(node)) {
    const { operator } = node
    if (BINARY[operator] === undefined) throw wrong(`one of ${Object.keys(BINARY).join(' ')}`, operator)
    const [left, right] = [check(node.left, language), check(node.right, language)]
    const { takes, gives } = kindsOf(operator)
    if (left !== right || (takes !== undefined && left !== takes))
      throw wrong(`two ${takes ?? 'like value'}s beside ${operator}`, `a ${left} and a ${right}`)
    return gives
  }
  if (isUnary(node)) {
    const { operator } = node
    if (UNARY[operator] === undefined) throw wrong(`one of ${Object.keys(UNARY).join(' ')}`, operator)
    const [kind, takes] = [check(node.argument, language), operator === '!' ? 'condition' : 'number']
    if (kind !== takes) throw wrong(`a ${takes} behind ${operator}`, `a ${kind}`)
    return kind
  }
  if (isName(node)) {
    if (Object.hasOwn(aliases, node.name)) node.name = aliases[node.name]!
    if (!names.includes(node.name)) throw wrong(`one of ${names.join(', ')}`, node.name)
    return texts.includes(node.name) ? 'text' : 'number'
  }
  if (isLiteral(node) && typeof node.value === 'number') return 'number'
  if (isLiteral(node) && typeof node.value === 'string') return 'text'
  throw wrong('names, numbers, texts and operators', isLiteral(node) ? node.raw : node.type)
}

/** What stands on both sides of an operator (undefined: anything, of one kind), and what comes of it. */
function kindsOf(operator: string): { takes?: Kind; gives: Kind } {
  if (operator === '&&' || operator === '||') return { takes: 'condition', gives: 'condition' }
  if (/^[=!]=/.test(operator)) return { gives: 'condition' }
  return { takes: 'number', gives: /[<>]/.test(operator) ? 'condition' : 'number' }
}

function evaluate(node: Expression, fields: Fields): Value {
  if (isLiteral(node)) return node.value as number | string
  if (isName(node)) return fields[node.name]
  if (isUnary(node)) return UNARY[node.operator]!(evaluate(node.argument, fields))
  const { operator, left, right } = node as Binary
  return BINARY[operator]!(evaluate(left, fields), evaluate(right, fields))
}

const UNARY: Record<string, ((a: Value) => Value) | undefined> = {
  '-': (a) => (typeof a === 'number' ? -a : undefined),
  '+': (a) => (typeof a === 'number' ? a : undefined),
  '!': (a) => a !== true,
}

const number =
  (operate: (a: number, b: number) => Value) =>
  (a: Value, b: Value): Value =>
    typeof a === 'number' && typeof b === 'number' ? operate(a, b) : undefined

const BINARY: Record<string, ((a: Value, b: Value) => Value) | undefined> = {
  '&&': (a, b) => a === true && b === true,
  '||': (a, b) => a === true || b === true,
  '==': (a, b) => a !== undefined && a === b,
  '===': (a, b) => a !== undefined && a === b,
  '!=': (a, b) => a !== undefined && b !== undefined && a !== b,
  '!==': (a, b) => a !== undefined && b !== undefined && a !== b,
  '<': number((a, b) => a < b),
  '<=': number((a, b) => a <= b),
  '>': number((a, b) => a > b),
  '>=': number((a, b) => a >= b),
  '+': number((a, b) => a + b),
  '-': number((a, b) => a - b),
  '*': number((a, b) => a * b),
  '/': number((a, b) => a / b),
  '%': number((a, b) => a % b),
}
