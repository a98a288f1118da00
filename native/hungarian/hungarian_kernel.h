// The arithmetic of one cell, shared by CPU and CUDA. All in float64, in the order of the
// TypeScript reference.
#pragma once

#include "common/host_device.h"

namespace nodule {

constexpr int kMaxMatch = 64;  // predictions or truths of a cell

NODULE_HD double MatchMin(double a, double b) { return a < b ? a : b; }
NODULE_HD double MatchMax(double a, double b) { return a > b ? a : b; }
NODULE_HD double MatchAbs(double a) { return a < 0 ? -a : a; }

// Length of [c - e/2, c + e/2] (0 when turned inside out), and of what two such intervals share.
NODULE_HD double MatchLength(double center, double extent) {
  return MatchMax(0, (center + extent / 2) - (center - extent / 2));
}
NODULE_HD double MatchShared(double c0, double e0, double c1, double e1) {
  return MatchMin(c0 + e0 / 2, c1 + e1 / 2) - MatchMax(c0 - e0 / 2, c1 - e1 / 2);
}

// Intersection over union of two boxes cx, cy, w, h; 0 where the union has no area.
NODULE_HD double MatchIou(const float* a, const float* b) {
  const double width = MatchShared(a[0], a[2], b[0], b[2]);
  const double height = MatchShared(a[1], a[3], b[1], b[3]);
  if (!(width > 0 && height > 0)) return 0;
  const double shared = width * height;
  const double both = MatchLength(a[0], a[2]) * MatchLength(a[1], a[3]) +
                      MatchLength(b[0], b[2]) * MatchLength(b[1], b[3]) - shared;
  return both > 0 ? shared / both : 0;
}

// ReInspect's cost of giving the prediction of rank `order` to a true box.
NODULE_HD double MatchCost(const float* prediction, const float* truth, int order, double min_iou) {
  double distance = 0;
  for (int k = 0; k < 4; k++)
    distance += MatchAbs(static_cast<double>(prediction[k]) - static_cast<double>(truth[k]));
  return order + distance / 2000 + (MatchIou(prediction, truth) < min_iou ? 100 : 0);
}

// Shortest augmenting paths (Kuhn-Munkres with potentials) over a cost matrix with rows <= columns;
// cost(row, column) = costs[row * row_step + column * column_step]. Writes the row of each column,
// or -1. `Work` holds at least columns + 1 elements in each array.
struct MatchWork {
  double row_potential[kMaxMatch + 1];
  double column_potential[kMaxMatch + 1];
  double shortest[kMaxMatch + 1];
  int row_of[kMaxMatch + 1];    // 1-based; 0: free
  int previous[kMaxMatch + 1];  // column before this one on the shortest path
  bool done[kMaxMatch + 1];
};

NODULE_HD void MatchAssign(const double* costs, int rows, int columns, int row_step,
                           int column_step, MatchWork& work) {
  for (int j = 0; j <= columns; j++) {
    work.column_potential[j] = 0;
    work.row_of[j] = 0;
  }
  for (int i = 0; i <= rows; i++) work.row_potential[i] = 0;
  for (int row = 1; row <= rows; row++) {
    // Column 0 is a gate that holds the row to be placed.
    work.row_of[0] = row;
    for (int j = 0; j <= columns; j++) {
      work.shortest[j] = 1e300;
      work.done[j] = false;
    }
    int column = 0;
    do {
      work.done[column] = true;
      const int i = work.row_of[column];
      double delta = 1e300;
      int next = 0;
      for (int j = 1; j <= columns; j++) {
        if (work.done[j]) continue;
        const double reduced = costs[(i - 1) * row_step + (j - 1) * column_step] -
                               work.row_potential[i] - work.column_potential[j];
        if (reduced < work.shortest[j]) {
          work.shortest[j] = reduced;
          work.previous[j] = column;
        }
        if (work.shortest[j] < delta) {
          delta = work.shortest[j];
          next = j;
        }
      }
      for (int j = 0; j <= columns; j++) {
        if (work.done[j]) {
          work.row_potential[work.row_of[j]] += delta;
          work.column_potential[j] -= delta;
        } else {
          work.shortest[j] -= delta;
        }
      }
      column = next;
    } while (work.row_of[column] != 0);
    while (column != 0) {
      const int before = work.previous[column];
      work.row_of[column] = work.row_of[before];
      column = before;
    }
  }
}

// One cell. costs: room for count * p. Writes assignment[p] (truth or -1) and returns the total
// cost.
NODULE_HD double MatchCell(const float* predictions, const float* truths, int p, int count,
                           double min_iou, double* costs, MatchWork& work, int32_t* assignment) {
  for (int i = 0; i < p; i++) assignment[i] = -1;
  if (count == 0 || p == 0) return 0;
  for (int j = 0; j < count; j++)
    for (int i = 0; i < p; i++)
      costs[j * p + i] = MatchCost(predictions + i * 4, truths + j * 4, i, min_iou);
  if (count <= p) {
    // Rows are truths, columns predictions: every true box gets a prediction.
    MatchAssign(costs, count, p, p, 1, work);
    for (int i = 0; i < p; i++) assignment[i] = work.row_of[i + 1] - 1;
  } else {
    MatchAssign(costs, p, count, 1, p, work);
    for (int j = 0; j < count; j++)
      if (work.row_of[j + 1] != 0) assignment[work.row_of[j + 1] - 1] = j;
  }
  double total = 0;
  for (int i = 0; i < p; i++)
    if (assignment[i] >= 0) total += costs[assignment[i] * p + i];
  return total;
}

}  // namespace nodule
