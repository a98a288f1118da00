#include <limits>
#include <vector>

#include "common/parallel.h"
#include "hungarian/hungarian.h"
#include "hungarian/hungarian_kernel.h"

namespace nodule {
namespace {

// Below this a task is not worth another thread.
constexpr size_t kCellsAtOnce = 64;

// Shortest augmenting paths (Crouse 2016, as in SciPy) with rows <= columns.
void Assign(const double* cost, size_t rows, size_t columns, size_t row_step, size_t column_step,
            std::vector<int32_t>& column_of, std::vector<int32_t>& row_of) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> u(rows, 0), v(columns, 0), shortest(columns);
  std::vector<int32_t> path(columns);
  std::vector<char> row_seen(rows), column_seen(columns);
  column_of.assign(rows, -1);
  row_of.assign(columns, -1);
  for (size_t current = 0; current < rows; current++) {
    std::fill(shortest.begin(), shortest.end(), kInfinity);
    std::fill(row_seen.begin(), row_seen.end(), 0);
    std::fill(column_seen.begin(), column_seen.end(), 0);
    double least = 0;
    size_t i = current;
    int32_t sink = -1;
    while (sink < 0) {
      row_seen[i] = 1;
      double lowest = kInfinity;
      size_t next = columns;
      for (size_t j = 0; j < columns; j++) {
        if (column_seen[j]) continue;
        const double through = least + cost[i * row_step + j * column_step] - u[i] - v[j];
        if (through < shortest[j]) {
          path[j] = static_cast<int32_t>(i);
          shortest[j] = through;
        }
        // Of equal ends a free column is better: it finishes the path.
        if (next == columns || shortest[j] < lowest || (shortest[j] == lowest && row_of[j] < 0)) {
          lowest = shortest[j];
          next = j;
        }
      }
      least = lowest;
      column_seen[next] = 1;
      if (row_of[next] < 0)
        sink = static_cast<int32_t>(next);
      else
        i = row_of[next];
    }
    u[current] += least;
    for (size_t row = 0; row < rows; row++)
      if (row_seen[row] && row != current) u[row] += least - shortest[column_of[row]];
    for (size_t j = 0; j < columns; j++)
      if (column_seen[j]) v[j] -= least - shortest[j];
    for (int32_t j = sink;;) {
      const int32_t row = path[j];
      row_of[j] = row;
      std::swap(column_of[row], j);
      if (row == static_cast<int32_t>(current)) break;
    }
  }
}

}  // namespace

void HungarianMatchCpu(const MatchParams& params) {
  const size_t p = params.p, t = params.t;
  ParallelFor(params.cells, kCellsAtOnce, [&](size_t begin, size_t end) {
    double costs[kMaxMatch * kMaxMatch];
    MatchWork work;
    for (size_t cell = begin; cell < end; cell++)
      params.cost[cell] =
          MatchCell(params.predictions + cell * p * 4, params.truths + cell * t * 4, params.p,
                    params.counts[cell], params.min_iou, costs, work, params.assignment + cell * p);
  });
}

double LinearSumAssignment(const double* cost, size_t rows, size_t columns,
                           int32_t* row_to_column) {
  std::vector<int32_t> of_row, of_column;
  if (rows <= columns)
    Assign(cost, rows, columns, columns, 1, of_row, of_column);
  else
    Assign(cost, columns, rows, 1, columns, of_column, of_row);
  double total = 0;
  for (size_t i = 0; i < rows; i++) {
    row_to_column[i] = of_row[i];
    if (of_row[i] >= 0) total += cost[i * columns + of_row[i]];
  }
  return total;
}

}  // namespace nodule
