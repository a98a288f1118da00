import { CustomChart, LineChart, ScatterChart } from 'echarts/charts'
import type { CustomSeriesOption } from 'echarts/charts'
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components'
import { init, setPlatformAPI, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import sharp from 'sharp'

use([CustomChart, LineChart, ScatterChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])

// Without a browser echarts takes half of the height for each letter's width, and legends overlap. These are DejaVu
// Sans' widths, a wide font: text in another one has room to spare.
setPlatformAPI({ measureText: (text, font) => ({ width: textWidth(text) * fontSize(font) }) as never })

function fontSize(font: string | undefined): number {
  return Number(/([\d.]+)px/.exec(font ?? '')?.[1] ?? 12)
}

/** Width in units of the font's size. */
function textWidth(text: string): number {
  let width = 0
  for (const letter of text) {
    if (/[ijlI.,:;'|!]/.test(letter)) width += 0.32
    else if (/[ftr()[\]/ -]/.test(letter)) width += 0.4
    else if (/[mwMW%@]/.test(letter)) width += 0.95
    // echarts takes the width of an ideograph for the height of a line.
    else width += letter > '\u2fff' ? 1 : 0.63
  }
  return width
}

/** Colors that people with color-blindness can tell apart (Okabe and Ito). */
export const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#5c5c5c'] as const

export interface ChartLine {
  name: string
  points: readonly (readonly [number, number])[]
  color?: string
  /** Filled symbols without a line. */
  scatter?: boolean
  dashed?: boolean
  /** Opacity of the line, 0 to 1. */
  faint?: number
  width?: number
  /** Constant between points: each value holds from its x back to the one before. */
  step?: boolean
  /** Text beside each symbol of a scatter. */
  labels?: readonly string[]
  symbol?: 'circle' | 'diamond' | 'triangle' | 'rect'
  /** Which y axis: 0 left, 1 right. */
  axis?: 0 | 1
  hideFromLegend?: boolean
}

/** The area between two curves over the same x. */
export interface ChartBand {
  name: string
  x: readonly number[]
  low: readonly number[]
  high: readonly number[]
  color: string
}

export interface ChartAxis {
  name: string
  min?: number
  max?: number
  /** Logarithm's base; linear without. */
  logBase?: number
  /** Distance of the ticks. */
  interval?: number
  format?: (value: number) => string
}

export interface Chart {
  title: string
  subtitle?: string
  x: ChartAxis
  y: ChartAxis
  /** Right axis. */
  y2?: ChartAxis
  lines: readonly ChartLine[]
  bands?: readonly ChartBand[]
  width?: number
  height?: number
}

/** Where the plot area lies in a chart's picture, pixels: pages draw on top of it. */
export interface PlotArea {
  left: number
  top: number
  width: number
  height: number
}

const WIDTH = 640
const HEIGHT = 440

/** Size of a chart's picture, pixels. */
export function chartSize(chart: Chart): { width: number; height: number } {
  return { width: chart.width ?? WIDTH, height: chart.height ?? HEIGHT }
}

/** Rows that the legend needs: names of unlike length wrap in the chart's width. */
function legendRows(chart: Chart): number {
  const room = chartSize(chart).width - 60
  let rows = 1
  let used = 0
  for (const name of legendNames(chart)) {
    const width = 48 + textWidth(name) * 12
    if (used > 0 && used + width > room) {
      rows++
      used = 0
    }
    used += width
  }
  return rows
}

/** What stands for a line in the legend: echarts would draw a dot and a solid line for each. */
function legendIcon(chart: Chart, name: string): string {
  const line = chart.lines.find((one) => one.name === name && one.hideFromLegend !== true)
  if (line === undefined) return 'rect'
  if (line.scatter === true) return SYMBOL_PATHS[line.symbol ?? 'circle']
  return line.dashed === true
    ? 'path://M0,0h6v2h-6zM8,0h6v2h-6zM16,0h6v2h-6z'
    : `path://M0,0h22v${line.width === undefined || line.width >= 2 ? 3 : 2}h-22z`
}

const SYMBOL_PATHS: Record<NonNullable<ChartLine['symbol']>, string> = {
  circle: 'path://M0,5a5,5,0,1,0,10,0a5,5,0,1,0,-10,0z',
  diamond: 'path://M5,0l5,5l-5,5l-5,-5z',
  triangle: 'path://M5,0l5,9h-10z',
  rect: 'path://M0,0h10v10h-10z',
}

function legendNames(chart: Chart): string[] {
  return [
    ...new Set([
      ...(chart.bands ?? []).map((band) => band.name),
      ...chart.lines.filter((line) => line.hideFromLegend !== true).map((line) => line.name),
    ]),
  ]
}

export function plotArea(chart: Chart): PlotArea {
  const left = 68
  const right = chart.y2 === undefined ? 28 : 68
  const top = chart.subtitle === undefined ? 48 : 66
  const bottom = 46 + legendRows(chart) * 28
  return {
    left,
    top,
    width: chartSize(chart).width - left - right,
    height: chartSize(chart).height - top - bottom,
  }
}

/** Draws a chart as an SVG document. */
export function chartSvg(chart: Chart): string {
  const { width, height } = chartSize(chart)
  const area = plotArea(chart)
  const names = legendNames(chart)
  const echart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  try {
    echart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: FONT },
      title: {
        text: chart.title,
        subtext: chart.subtitle ?? '',
        left: 'center',
        top: 8,
        itemGap: 5,
        textStyle: { fontSize: 16, fontWeight: 600, color: '#1c2733' },
        subtextStyle: { fontSize: 12, color: '#5b6875' },
      },
      grid: { left: area.left, top: area.top, width: area.width, height: area.height },
      legend: {
        data: names.map((name) => ({ name, icon: legendIcon(chart, name) })),
        bottom: 6,
        left: 'center',
        width: width - 50,
        itemWidth: 22,
        itemHeight: 10,
        itemGap: 16,
        textStyle: { fontSize: 12, color: '#1c2733' },
      },
      xAxis: { ...axis(chart.x), nameGap: 30 },
      yAxis: [
        { ...axis(chart.y), nameGap: 46 },
        ...(chart.y2 === undefined
          ? []
          : [{ ...axis(chart.y2), nameGap: 46, nameRotate: -90, splitLine: { show: false } }]),
      ],
      series: [...(chart.bands ?? []).map(bandSeries), ...chart.lines.map(lineSeries)],
    })
    return echart.renderToSVGString()
  } finally {
    echart.dispose()
  }
}

/** The same chart as PNG bytes, `scale` times as many pixels. */
export async function chartPng(svg: string, scale = 2): Promise<Uint8Array> {
  return sharp(Buffer.from(svg), { density: 72 * scale })
    .png()
    .toBuffer()
}

const FONT = "'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif"

function axis(option: ChartAxis): Record<string, unknown> {
  return {
    type: option.logBase === undefined ? 'value' : 'log',
    ...(option.logBase === undefined ? {} : { logBase: option.logBase }),
    name: option.name,
    nameLocation: 'middle',
    nameTextStyle: { fontSize: 13, color: '#1c2733' },
    ...(option.min === undefined ? {} : { min: option.min }),
    ...(option.max === undefined ? {} : { max: option.max }),
    ...(option.interval === undefined ? {} : { interval: option.interval }),
    scale: option.min === undefined,
    axisLine: { show: true, onZero: false, lineStyle: { color: '#8a96a3' } },
    axisTick: { show: true },
    axisLabel: {
      fontSize: 12,
      color: '#3a4652',
      hideOverlap: true,
      ...(option.format === undefined ? {} : { formatter: option.format }),
    },
    splitLine: { show: true, lineStyle: { color: '#e6eaee' } },
  }
}

/** Beyond these magnitudes the ticks of echarts overflow or have no distance, which ends it. */
const LARGEST = 1e100
const SMALLEST = 1e-100

/** A value as it can be drawn: no log that somebody edited may end the report. */
function drawable(value: number): number {
  return Math.abs(value) < SMALLEST ? 0 : Math.max(-LARGEST, Math.min(LARGEST, value))
}

function lineSeries(line: ChartLine, index: number): Record<string, unknown> {
  const color = line.color ?? COLORS[index % COLORS.length]!
  if (line.scatter === true) {
    return {
      type: 'scatter',
      name: line.name,
      data: line.points.map(([x, y], i) => ({
        value: [drawable(x), drawable(y)],
        ...(line.labels?.[i] === undefined
          ? {}
          : { label: { show: true, formatter: line.labels[i], position: 'right', fontSize: 11, color } }),
      })),
      symbol: line.symbol ?? 'circle',
      symbolSize: 9,
      itemStyle: { color, borderColor: '#ffffff', borderWidth: 1, opacity: 1 },
      yAxisIndex: line.axis ?? 0,
      z: 5,
    }
  }
  return {
    type: 'line',
    name: line.name,
    data: line.points.map(([x, y]) => [drawable(x), drawable(y)]),
    symbol: line.points.length === 1 ? 'circle' : 'none',
    symbolSize: 7,
    ...(line.step === true ? { step: 'end' } : {}),
    yAxisIndex: line.axis ?? 0,
    itemStyle: { color },
    lineStyle: {
      color,
      width: line.width ?? 2,
      type: line.dashed === true ? 'dashed' : 'solid',
      opacity: line.faint ?? 1,
    },
    z: 3,
  }
}

/** echarts has no band: a polygon that goes along the upper edge and back along the lower one. */
function bandSeries(band: ChartBand): CustomSeriesOption {
  const forth = band.x.map((x, i) => [drawable(x), drawable(band.high[i]!)])
  const back = band.x.map((x, i) => [drawable(x), drawable(band.low[i]!)]).reverse()
  return {
    type: 'custom',
    name: band.name,
    // One item a corner, so that the axes know their extent; the first draws the whole polygon.
    data: [...forth, ...back],
    itemStyle: { color: band.color, opacity: 0.16 },
    clip: true,
    z: 1,
    renderItem: (parameters, api) =>
      parameters.dataIndex > 0
        ? null
        : {
            type: 'polygon',
            shape: { points: [...forth, ...back].map((corner) => api.coord(corner)) },
            style: { fill: band.color, opacity: 0.16 },
          },
  }
}
