/** Three numbers along three axes, mm where nothing else is said. */
export type Vector3 = readonly [number, number, number]

export function dot(a: Vector3, b: Vector3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

export function cross(a: Vector3, b: Vector3): [number, number, number] {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

export function subtract(a: Vector3, b: Vector3): [number, number, number] {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

export function negate([x, y, z]: Vector3): [number, number, number] {
  return [-x, -y, -z]
}

/** `from`, `length` further along `direction`. */
export function along(from: Vector3, direction: Vector3, length: number): [number, number, number] {
  return [from[0] + direction[0] * length, from[1] + direction[1] * length, from[2] + direction[2] * length]
}

/** The vector with length 1; not a number where it has none. */
export function unit([x, y, z]: Vector3): [number, number, number] {
  const length = Math.hypot(x, y, z)
  return [x / length, y / length, z / length]
}
