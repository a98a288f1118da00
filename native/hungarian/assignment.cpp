// The plain assignment problem: Jonker and Volgenant, "A shortest augmenting path algorithm for
// dense and sparse linear assignment problems" (Computing 38, 1987), with dense scans instead of
// lists, so that they run as vectors.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/host_device.h"
#include "common/lanes.h"
#include "hungarian/hungarian.h"

namespace nodule {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The least and the second least of cost[j] - v[j], and where they are; columns >= 1.
struct TwoLeast {
  double first, second;
  int64_t first_at, second_at;  // second_at -1 when there is one column
};

NODULE_CLONES TwoLeast FindTwoLeast(const double* __restrict cost, const double* __restrict v,
                                    int64_t columns) {
  double first[kLanes], second[kLanes];
  int64_t first_at[kLanes], second_at[kLanes];
  for (size_t k = 0; k < kLanes; k++) {
    first[k] = second[k] = kInfinity;
    first_at[k] = second_at[k] = -1;
  }
  const int64_t whole = columns - columns % static_cast<int64_t>(kLanes);
  for (int64_t j = 0; j < whole; j += kLanes)
    for (size_t k = 0; k < kLanes; k++) {
      const int64_t at = j + static_cast<int64_t>(k);
      const double reduced = cost[at] - v[at];
      const bool is_first = reduced < first[k], is_second = reduced < second[k];
      second_at[k] = is_first ? first_at[k] : (is_second ? at : second_at[k]);
      second[k] = is_first ? first[k] : (is_second ? reduced : second[k]);
      first_at[k] = is_first ? at : first_at[k];
      first[k] = is_first ? reduced : first[k];
    }
  TwoLeast best = {kInfinity, kInfinity, -1, -1};
  const auto take = [&best](double value, int64_t at) {
    if (at < 0) return;
    if (best.first_at < 0 || value < best.first) {
      best.second = best.first;
      best.second_at = best.first_at;
      best.first = value;
      best.first_at = at;
    } else if (best.second_at < 0 || value < best.second) {
      best.second = value;
      best.second_at = at;
    }
  };
  for (size_t k = 0; k < kLanes; k++) {
    take(first[k], first_at[k]);
    take(second[k], second_at[k]);
  }
  for (int64_t j = whole; j < columns; j++) take(cost[j] - v[j], j);
  return best;
}

// One step of Dijkstra: columns reached through `row` (at distance base + cost[j] - v[j]), then the
// nearest column that is not done; of equal ones a free one, which ends the search. barred[j]:
// infinity when done, else 0; taken[j]: 1 when assigned, else 0. Returns -1 only when all columns
// are done.
NODULE_CLONES int64_t ReachColumns(const double* __restrict cost, const double* __restrict v,
                                   const double* __restrict barred, const double* __restrict taken,
                                   double base, int64_t row, int64_t columns,
                                   double* __restrict shortest, int64_t* __restrict previous) {
  double least[kLanes], least_taken[kLanes];
  int64_t least_at[kLanes];
  for (size_t k = 0; k < kLanes; k++) {
    least[k] = kInfinity;
    least_taken[k] = 2;
    least_at[k] = -1;
  }
  const int64_t whole = columns - columns % static_cast<int64_t>(kLanes);
  for (int64_t j = 0; j < whole; j += kLanes)
    for (size_t k = 0; k < kLanes; k++) {
      const int64_t at = j + static_cast<int64_t>(k);
      const double through = ((cost[at] - v[at]) + base) + barred[at];
      const bool shorter = through < shortest[at];
      const double distance = shorter ? through : shortest[at];
      shortest[at] = distance;
      previous[at] = shorter ? row : previous[at];
      const double key = distance + barred[at];
      const bool nearer = (key < least[k]) | ((key == least[k]) & (taken[at] < least_taken[k]));
      least[k] = nearer ? key : least[k];
      least_taken[k] = nearer ? taken[at] : least_taken[k];
      least_at[k] = nearer ? at : least_at[k];
    }
  double best = kInfinity, best_taken = 2;
  int64_t best_at = -1;
  for (size_t k = 0; k < kLanes; k++) {
    const bool nearer = (least[k] < best) | ((least[k] == best) & (least_taken[k] < best_taken));
    if (least_at[k] >= 0 && nearer) {
      best = least[k];
      best_taken = least_taken[k];
      best_at = least_at[k];
    }
  }
  for (int64_t at = whole; at < columns; at++) {
    const double through = ((cost[at] - v[at]) + base) + barred[at];
    if (through < shortest[at]) {
      shortest[at] = through;
      previous[at] = row;
    }
    const double key = shortest[at] + barred[at];
    if (key < best || (key == best && taken[at] < best_taken)) {
      best = key;
      best_taken = taken[at];
      best_at = at;
    }
  }
  return best < kInfinity ? best_at : -1;
}

NODULE_CLONES void LowerColumns(const double* __restrict cost, int64_t row, int64_t columns,
                                double* __restrict v, int64_t* __restrict row_of) {
  for (int64_t j = 0; j < columns; j++) {
    const bool lower = cost[j] < v[j];
    v[j] = lower ? cost[j] : v[j];
    row_of[j] = lower ? row : row_of[j];
  }
}

class Solver {
 public:
  // cost [rows, columns], row after row, rows <= columns.
  Solver(const double* cost, int64_t rows, int64_t columns)
      : cost_(cost),
        rows_(rows),
        columns_(columns),
        v_(columns, 0),
        row_of_(columns, -1),
        column_of_(rows, -1) {}

  void Solve() {
    if (rows_ == columns_) ReduceColumns();
    std::vector<int64_t> free;
    for (int64_t i = 0; i < rows_; i++)
      if (column_of_[i] < 0) free.push_back(i);
    for (int pass = 0; pass < 2 && !free.empty(); pass++) free = ReduceRows(free);
    if (free.empty()) return;
    taken_.resize(columns_);
    for (int64_t j = 0; j < columns_; j++) taken_[j] = row_of_[j] < 0 ? 0 : 1;
    barred_.assign(columns_, 0);
    shortest_.resize(columns_);
    previous_.resize(columns_);
    for (const int64_t row : free) Augment(row);
  }

  const std::vector<int64_t>& ColumnOf() const { return column_of_; }

 private:
  const double* Row(int64_t i) const { return cost_ + i * columns_; }
  double Reduced(int64_t i, int64_t j) const { return Row(i)[j] - v_[j]; }

  // Each column goes to its cheapest row; a row that several want keeps one of them. Only for
  // squares: in a wide problem columns may stay free, and a free column must keep v = 0.
  void ReduceColumns() {
    std::fill(v_.begin(), v_.end(), kInfinity);
    for (int64_t i = 0; i < rows_; i++)
      LowerColumns(Row(i), i, columns_, v_.data(), row_of_.data());
    std::vector<char> several(rows_, 0);
    for (int64_t j = columns_ - 1; j >= 0; j--) {
      const int64_t i = row_of_[j];
      if (column_of_[i] < 0) {
        column_of_[i] = j;
      } else {
        several[i] = 1;
        row_of_[j] = -1;
      }
    }
    // Reduction transfer: a row with one column of its own lowers it to where its second best is as
    // good.
    for (int64_t i = 0; i < rows_ && columns_ > 1; i++) {
      const int64_t own = column_of_[i];
      if (own < 0 || several[i]) continue;
      const TwoLeast least = FindTwoLeast(Row(i), v_.data(), columns_);
      const double other = least.first_at == own ? least.second : least.first;
      v_[own] -= other - Reduced(i, own);
    }
  }

  // Augmenting row reduction: each free row takes its best column and lowers it as far as its
  // second best allows; the row that had it is next, or waits for the following pass. Returns the
  // rows that stay free.
  std::vector<int64_t> ReduceRows(std::vector<int64_t> free) {
    std::vector<int64_t> left;
    // Rows may push each other off columns for long: a limit keeps this pass from being worse than
    // the next step.
    int64_t steps = 4 * rows_ + 64;
    for (size_t k = 0; k < free.size();) {
      const int64_t i = free[k++];
      const TwoLeast least = FindTwoLeast(Row(i), v_.data(), columns_);
      int64_t j = least.first_at;
      int64_t pushed = row_of_[j];
      const double lowered = least.second_at < 0 ? v_[j] : v_[j] - (least.second - least.first);
      const bool lowers =
          lowered < v_[j];  // false also when the difference is below the rounding of v
      if (lowers) {
        v_[j] = lowered;
      } else if (pushed >= 0 && least.second_at >= 0) {
        j = least.second_at;
        pushed = row_of_[j];
      }
      row_of_[j] = i;
      column_of_[i] = j;
      if (pushed < 0) continue;
      column_of_[pushed] = -1;
      if (lowers && steps-- > 0)
        free[--k] = pushed;
      else
        left.push_back(pushed);
    }
    return left;
  }

  // The shortest path in reduced costs from a free row to a free column; rows along it change
  // columns.
  void Augment(int64_t start) {
    std::fill(shortest_.begin(), shortest_.end(), kInfinity);
    done_.clear();
    int64_t row = start, column = -1;
    double base = 0;
    for (;;) {
      column = ReachColumns(Row(row), v_.data(), barred_.data(), taken_.data(), base, row, columns_,
                            shortest_.data(), previous_.data());
      if (row_of_[column] < 0) break;
      done_.push_back(column);
      barred_[column] = kInfinity;
      row = row_of_[column];
      base = shortest_[column] - Reduced(row, column);
    }
    const double length = shortest_[column];
    for (const int64_t j : done_) {
      v_[j] += shortest_[j] - length;
      barred_[j] = 0;
    }
    taken_[column] = 1;
    for (;;) {
      const int64_t i = previous_[column], next = column_of_[i];
      row_of_[column] = i;
      column_of_[i] = column;
      if (i == start) break;
      column = next;
    }
  }

  const double* cost_;
  int64_t rows_, columns_;
  std::vector<double> v_;  // column potentials
  std::vector<int64_t> row_of_, column_of_;
  std::vector<double> shortest_, barred_, taken_;
  std::vector<int64_t> previous_, done_;
};

constexpr size_t kTile = 16;

}  // namespace

double LinearSumAssignment(const double* cost, size_t rows, size_t columns,
                           int32_t* row_to_column) {
  if (rows <= columns) {
    Solver solver(cost, static_cast<int64_t>(rows), static_cast<int64_t>(columns));
    if (rows > 0) solver.Solve();
    for (size_t i = 0; i < rows; i++) row_to_column[i] = static_cast<int32_t>(solver.ColumnOf()[i]);
  } else {
    // Turned, so that rows of memory are what is scanned.
    std::vector<double> turned(rows * columns);
    for (size_t i0 = 0; i0 < rows; i0 += kTile)
      for (size_t j = 0; j < columns; j++)
        for (size_t i = i0; i < std::min(i0 + kTile, rows); i++)
          turned[j * rows + i] = cost[i * columns + j];
    Solver solver(turned.data(), static_cast<int64_t>(columns), static_cast<int64_t>(rows));
    if (columns > 0) solver.Solve();
    std::fill_n(row_to_column, rows, -1);
    for (size_t j = 0; j < columns; j++)
      row_to_column[solver.ColumnOf()[j]] = static_cast<int32_t>(j);
  }
  double total = 0;
  for (size_t i = 0; i < rows; i++)
    if (row_to_column[i] >= 0) total += cost[i * columns + row_to_column[i]];
  return total;
}

}  // namespace nodule
