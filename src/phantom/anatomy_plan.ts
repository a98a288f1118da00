import { curve } from './fields.js'

/**
 * The plan of a chest of scale 1, millimeters: x to the patient's left, y to the back, z to the head from the deepest
 * point of the lungs; curves over z, and paths of tubes as (x, y, z, radius). Drawn from knowledge of anatomy, not traced
 * from a patient.
 */

export const cavityWidth = curve([
  [-60, 128],
  [0, 130],
  [60, 131],
  [110, 129],
  [150, 122],
  [190, 110],
  [220, 98],
  [250, 88],
])
export const cavityDepth = curve([
  [-60, 82],
  [0, 86],
  [80, 91],
  [130, 90],
  [175, 82],
  [205, 72],
  [250, 60],
])
export const cavityCenter = curve([
  [-60, -6],
  [0, -2],
  [90, 0],
  [150, 3],
  [200, 10],
  [250, 14],
])
export const bodyWidth = curve([
  [-60, 146],
  [0, 150],
  [80, 154],
  [130, 157],
  [170, 164],
  [205, 178],
  [240, 188],
  [290, 160],
])
export const bodyDepth = curve([
  [-60, 100],
  [0, 106],
  [80, 117],
  [130, 119],
  [180, 110],
  [215, 95],
  [250, 82],
  [290, 78],
])
export const bodyCenter = curve([
  [-60, 7],
  [60, 11],
  [150, 14],
  [210, 18],
  [260, 20],
])
export const spineCurve = curve([
  [-60, 46],
  [0, 54],
  [60, 64],
  [120, 70],
  [170, 66],
  [215, 52],
  [260, 34],
])
/** The same just behind the sternum: thin, but wide with fat where the heart lies on the diaphragm. */
export const frontSeptum = curve([
  [0, 70],
  [55, 52],
  [85, 26],
  [112, 5],
  [150, 3],
])
/** Half width of the tissue between the lungs where no organ makes it wider. */
export const septum = curve([
  [0, 14],
  [110, 8],
  [165, 7],
  [190, 12],
  [210, 20],
  [235, 30],
  [260, 38],
])

export type Path = readonly (readonly [number, number, number, number])[]

export const aorta: Path = [
  [10, -16, 128, 16],
  [-8, -24, 145, 16.5],
  [-14, -22, 168, 16],
  [-6, -10, 186, 15],
  [8, 8, 193, 14],
  [20, 28, 187, 13.5],
  [25, 42, 170, 13],
  [25, 46, 145, 12.5],
  [20, 46, 110, 12],
  [13, 42, 70, 11.5],
  [7, 36, 30, 11],
  [4, 30, -15, 10],
  [2, 24, -80, 10],
]
export const pulmonaryTrunk: Path = [
  [12, -40, 132, 14],
  [20, -32, 150, 14],
  [18, -14, 162, 13],
  [22, 2, 166, 12],
  [34, 14, 165, 11],
  [46, 18, 156, 9],
]
export const rightPulmonaryArtery: Path = [
  [16, -12, 160, 11.5],
  [-6, -2, 158, 11.5],
  [-28, 2, 156, 10.5],
  [-46, 6, 151, 9],
]
export const upperVein: Path = [
  [-44, -14, 232, 7],
  [-30, -18, 205, 8],
  [-27, -18, 185, 9],
  [-29, -14, 160, 10],
  [-30, -10, 135, 12],
]
export const leftBrachiocephalicVein: Path = [
  [42, -12, 234, 6],
  [24, -28, 212, 7],
  [0, -34, 203, 7],
  [-26, -20, 194, 8],
]
export const arteriesToHead: Path[] = [
  [
    [-4, -10, 192, 7],
    [-14, -4, 208, 6.5],
    [-24, 4, 228, 5.5],
    [-50, 2, 250, 5],
  ],
  [
    [5, 0, 195, 5],
    [12, 2, 215, 4.5],
    [20, 4, 245, 4],
    [24, 0, 300, 4],
  ],
  [
    [15, 14, 195, 5.5],
    [24, 18, 215, 5.5],
    [36, 14, 238, 5],
    [70, 6, 250, 4.5],
  ],
  [
    [-20, 0, 222, 4.5],
    [-24, 2, 250, 4],
    [-26, 0, 300, 4],
  ],
]
export const lowerVein: Path = [
  [-24, -2, 112, 13],
  [-24, 8, 95, 12],
  [-22, 14, 60, 11.5],
  [-20, 14, 0, 11],
  [-18, 10, -80, 10],
]
export const azygos: Path = [
  [-30, -2, 172, 4],
  [-24, 24, 174, 4],
  [-10, 44, 165, 3.5],
  [-7, 50, 130, 3.2],
  [-6, 46, 60, 3],
  [-4, 40, 0, 3],
]
export const pulmonaryVeins: Path[] = [
  [
    [-16, 16, 136, 8],
    [-34, 8, 142, 6.5],
    [-48, 2, 148, 5.5],
  ],
  [
    [-16, 22, 130, 8],
    [-34, 24, 124, 7],
    [-48, 28, 118, 5.5],
  ],
  [
    [26, 14, 138, 8],
    [40, 4, 144, 6.5],
    [50, -2, 150, 5.5],
  ],
  [
    [26, 24, 131, 8],
    [40, 30, 125, 7],
    [50, 32, 118, 5.5],
  ],
]
export const trachea: Path = [
  [0, -2, 320, 9],
  [0, 2, 250, 9],
  [-3, 12, 215, 9],
  [-6, 20, 185, 9],
  [-5, 23, 172, 9.5],
]
export const rightBronchus: Path = [
  [-5, 23, 172, 9],
  [-18, 24, 162, 7.5],
  [-34, 24, 153, 7],
  [-42, 24, 146, 6],
]
export const leftBronchus: Path = [
  [-5, 23, 172, 9],
  [10, 25, 162, 7],
  [28, 28, 154, 6.5],
  [42, 28, 148, 5.5],
]
export const esophagusPath: Path = [
  [3, 20, 300, 5],
  [4, 30, 230, 6],
  [5, 36, 190, 6.5],
  [6, 42, 150, 6.5],
  [8, 42, 115, 7],
  [16, 30, 80, 8],
  [24, 14, 55, 9],
]

/** Tips of the great vessels and bronchi, where the trees inside the lungs begin: right, then left. */
export const hila = {
  artery: [rightPulmonaryArtery[3]!, pulmonaryTrunk[5]!],
  veins: [
    [pulmonaryVeins[0]![2]!, pulmonaryVeins[1]![2]!],
    [pulmonaryVeins[2]![2]!, pulmonaryVeins[3]![2]!],
  ],
  airway: [rightBronchus[3]!, leftBronchus[3]!],
} as const
