#include "sagebuild/patch/diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace sagebuild {
namespace {

constexpr std::size_t kContext = 3;
// Myers' algorithm keeps one row per difference; beyond this many the middle is shown as removed
// and added whole.
constexpr std::size_t kMostDifferences = 2000;

using Lines = std::vector<std::string_view>;

// With their line ends: a changed end is a changed line, and the last line may have none.
Lines split_lines(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

struct Op {
  char kind;  // ' ', '-', '+'
  std::string_view line;
};

void emit(std::vector<Op>& ops, char kind, const Lines& lines, std::size_t begin, std::size_t end) {
  for (std::size_t index = begin; index < end; ++index) ops.push_back({kind, lines[index]});
}

// Shortest edit script of two texts without common ends (Myers 1986), or everything replaced when
// it would be too long.
class Script {
 public:
  Script(const Lines& before, const Lines& after)
      : a_(before),
        b_(after),
        n_(static_cast<long>(before.size())),
        m_(static_cast<long>(after.size())) {}

  std::vector<Op> ops() {
    const long most = std::min<long>(n_ + m_, static_cast<long>(kMostDifferences));
    std::vector<long> furthest(static_cast<std::size_t>(2 * most + 3), 0);
    const auto at = [&](long k) -> long& {
      return furthest[static_cast<std::size_t>(k + most + 1)];
    };
    for (long d = 0; d <= most; ++d) {
      rows_.emplace_back();
      for (long k = -d; k <= d; k += 2) {
        const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
        long x = down ? at(k + 1) : at(k - 1) + 1;
        while (x < n_ && x - k < m_ && x - k >= 0 && a_[index(x)] == b_[index(x - k)]) ++x;
        at(k) = x;
        rows_.back().push_back(x);
        if (x >= n_ && x - k >= m_) return traced(d, k);
      }
    }
    std::vector<Op> whole;
    emit(whole, '-', a_, 0, a_.size());
    emit(whole, '+', b_, 0, b_.size());
    return whole;
  }

 private:
  static std::size_t index(long value) { return static_cast<std::size_t>(value); }
  // The furthest x on diagonal k after d differences.
  long reached(long d, long k) const { return rows_[index(d)][index((k + d) / 2)]; }

  std::vector<Op> traced(long d, long k) const {
    std::vector<Op> reversed;
    long x = n_;
    long y = m_;
    for (; d > 0; --d) {
      const bool down = k == -d || (k != d && reached(d - 1, k - 1) < reached(d - 1, k + 1));
      const long from_k = down ? k + 1 : k - 1;
      const long from_x = reached(d - 1, from_k);
      const long from_y = from_x - from_k;
      const long start_x = down ? from_x : from_x + 1;
      while (x > start_x) {
        reversed.push_back({' ', a_[index(--x)]});
        --y;
      }
      if (down) {
        reversed.push_back({'+', b_[index(from_y)]});
      } else {
        reversed.push_back({'-', a_[index(from_x)]});
      }
      x = from_x;
      y = from_y;
      k = from_k;
    }
    while (x > 0) reversed.push_back({' ', a_[index(--x)]});
    return {reversed.rbegin(), reversed.rend()};
  }

  const Lines& a_;
  const Lines& b_;
  long n_;
  long m_;
  std::vector<std::vector<long>> rows_;
};

std::vector<Op> differences(const Lines& before, const Lines& after) {
  std::size_t head = 0;
  while (head < before.size() && head < after.size() && before[head] == after[head]) ++head;
  std::size_t tail = 0;
  while (tail < before.size() - head && tail < after.size() - head &&
         before[before.size() - 1 - tail] == after[after.size() - 1 - tail]) {
    ++tail;
  }
  const auto middle = [&](const Lines& lines) {
    return Lines(lines.begin() + static_cast<std::ptrdiff_t>(head),
                 lines.end() - static_cast<std::ptrdiff_t>(tail));
  };
  const Lines a = middle(before);
  const Lines b = middle(after);
  std::vector<Op> ops;
  emit(ops, ' ', before, 0, head);
  for (const Op& op : Script(a, b).ops()) ops.push_back(op);
  emit(ops, ' ', before, before.size() - tail, before.size());
  return ops;
}

void append_line(std::string& text, char kind, std::string_view line) {
  text += kind;
  text += line;
  if (!line.ends_with('\n')) text += "\n\\ No newline at end of file\n";
}

// "12,7", as diff writes a range; an empty one names the line before it.
std::string range(std::size_t first, std::size_t count) {
  if (count == 0) return fmt::format("{},0", first - 1);
  return count == 1 ? fmt::format("{}", first) : fmt::format("{},{}", first, count);
}

// One hunk: ops [begin, end), whose first line has these numbers.
std::string hunk(const std::vector<Op>& ops, std::size_t begin, std::size_t end, std::size_t line_a,
                 std::size_t line_b) {
  std::size_t count_a = 0;
  std::size_t count_b = 0;
  std::string body;
  for (std::size_t at = begin; at < end; ++at) {
    count_a += ops[at].kind != '+' ? 1U : 0U;
    count_b += ops[at].kind != '-' ? 1U : 0U;
    append_line(body, ops[at].kind, ops[at].line);
  }
  return fmt::format("@@ -{} +{} @@\n", range(line_a, count_a), range(line_b, count_b)) + body;
}

}  // namespace

std::string unified_diff(std::string_view file, std::string_view before, std::string_view after) {
  if (before == after) return "";
  const std::vector<Op> ops = differences(split_lines(before), split_lines(after));
  std::string text = fmt::format("--- a/{}\n+++ b/{}\n", file, file);
  std::size_t line_a = 1;
  std::size_t line_b = 1;
  std::size_t counted = 0;  // ops whose lines are counted
  for (std::size_t at = 0; at < ops.size();) {
    if (ops[at].kind == ' ') {
      ++at;
      continue;
    }
    const std::size_t begin = at - std::min(at - counted, kContext);
    std::size_t end = at + 1;  // behind the last change of this hunk
    for (std::size_t next = at; next < ops.size() && next <= end + 2 * kContext; ++next) {
      if (ops[next].kind != ' ') end = next + 1;
    }
    const std::size_t stop = std::min(end + kContext, ops.size());
    for (; counted < begin; ++counted, ++line_a, ++line_b) {
    }
    text += hunk(ops, begin, stop, line_a, line_b);
    for (; counted < stop; ++counted) {
      line_a += ops[counted].kind != '+' ? 1U : 0U;
      line_b += ops[counted].kind != '-' ? 1U : 0U;
    }
    at = stop;
  }
  return text;
}

}  // namespace sagebuild
