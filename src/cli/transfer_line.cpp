#include "sagebuild/cli/transfer_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

constexpr auto kWindow = std::chrono::seconds(20);
constexpr auto kLeast = std::chrono::seconds(1);
constexpr std::size_t kShortestName = 12;
constexpr std::size_t kBar = 10;

// Columns of one character, by its first byte: three bytes and more are mostly wide ones.
std::size_t columns_of(unsigned char first) { return first >= 0xe0 ? 2 : 1; }

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

std::size_t columns(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) {
    if (begins_character(c)) count += columns_of(static_cast<unsigned char>(c));
  }
  return count;
}

// "84.0/199 MB", "900 kB/1.2 MB"; "84.0 MB" where the total is not known.
std::string bytes_of(const TransferProgress& progress) {
  std::string done = human_size(progress.done);
  if (progress.total == 0) return done;
  const std::string total = human_size(progress.total);
  const auto unit = done.find(' ');
  if (done.substr(unit) == total.substr(total.find(' '))) done.resize(unit);
  return done + "/" + total;
}

// The whole only when it is: 99.9 % is not 100 %.
unsigned percent_of(const TransferProgress& progress) {
  if (progress.total == 0) return 0;
  return static_cast<unsigned>(100.0 *
                               static_cast<double>(std::min(progress.done, progress.total)) /
                               static_cast<double>(progress.total));
}

std::string bar_of(const TransferProgress& progress) {
  const std::size_t full = percent_of(progress) * kBar / 100;
  return "[" + std::string(full, '#') + std::string(kBar - full, '-') + "]";
}

// Not a promise to the second where that would be a guess.
std::string time_left(const TransferProgress& progress, std::optional<double> rate) {
  if (!rate || progress.total <= progress.done) return "";
  if (*rate <= 0) return "stalled";
  const double seconds = static_cast<double>(progress.total - progress.done) / *rate;
  return seconds < 60 ? fmt::format("{:.0f}s", std::ceil(seconds)) : human_time(seconds);
}

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (word.empty()) continue;
    if (!line.empty()) line += ' ';
    line += word;
  }
  return line;
}

}  // namespace

void TransferRate::add(Time now, std::uint64_t bytes) {
  if (!samples_.empty() && bytes < samples_.back().second) samples_.clear();
  samples_.emplace_back(now, bytes);
  while (samples_.size() > 2 && now - samples_[1].first > kWindow) samples_.pop_front();
}

std::optional<double> TransferRate::per_second() const {
  if (samples_.size() < 2) return std::nullopt;
  const auto time = samples_.back().first - samples_.front().first;
  if (time < kLeast) return std::nullopt;
  return static_cast<double>(samples_.back().second - samples_.front().second) /
         std::chrono::duration<double>(time).count();
}

std::string shortened_in_middle(const std::string& text, std::size_t width) {
  constexpr std::size_t kDots = 3;
  if (columns(text) <= width) return text;
  if (width <= kDots) return std::string(width, '.');
  std::string head, tail;
  std::size_t used = 0;
  const std::size_t for_head = (width - kDots) / 2;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = at + 1;
    while (end < text.size() && !begins_character(text[end])) ++end;
    const std::size_t wide = columns_of(static_cast<unsigned char>(text[at]));
    if (used + wide > for_head) break;
    head += text.substr(at, end - at);
    used += wide;
    at = end;
  }
  used = 0;
  for (std::size_t end = text.size(); end > at;) {
    std::size_t begin = end - 1;
    while (begin > at && !begins_character(text[begin])) --begin;
    used += columns_of(static_cast<unsigned char>(text[begin]));
    if (used > width - kDots - columns(head)) break;
    tail = text.substr(begin, end - begin) + tail;
    end = begin;
  }
  return head + "..." + tail;
}

std::string transfer_line(const TransferProgress& progress, std::optional<double> rate,
                          std::size_t width) {
  const bool has_total = progress.total > 0;
  const std::string percent = has_total ? fmt::format("{}%", percent_of(progress)) : "";
  const std::string bytes = bytes_of(progress);
  const bool is_whole = has_total && progress.done >= progress.total;
  const std::string speed =
      rate && *rate > 0 && !is_whole
          ? fmt::format("{}/s", human_size(static_cast<unsigned long long>(*rate)))
          : "";
  const std::string left = time_left(progress, rate);
  const std::string left_words = left.empty() || left == "stalled" ? left : left + " left";
  std::string counts;
  if (progress.objects_total > 0) {
    counts = progress.item.empty()
                 ? fmt::format("{} of {} objects", progress.objects_done, progress.objects_total)
                 : fmt::format("{}/{}", progress.objects_done, progress.objects_total);
  }
  const std::string& what = progress.what;
  const std::string bar = has_total ? bar_of(progress) : "";
  const std::string figures = joined({percent, bytes, speed, left_words});

  const std::size_t longest = columns(progress.item);
  if (longest > 0) {
    for (const std::string& shown_bar : {bar, std::string()}) {
      const std::size_t rest = columns(joined({what, counts, shown_bar, figures})) + 1;
      if (width < rest + std::min(longest, kShortestName)) continue;
      return joined(
          {what, counts, shortened_in_middle(progress.item, width - rest), shown_bar, figures});
    }
  }
  const std::vector<std::string> ladder = {
      joined({what, counts, bar, figures}),
      joined({what, counts, figures}),
      joined({what, figures}),
      joined({what, percent, bytes, speed, left}),
      joined({percent, bytes, speed, left}),
      joined({percent, bytes, speed}),
      joined({percent, bytes}),
      percent,
  };
  for (const std::string& line : ladder) {
    if (columns(line) <= width) return line;
  }
  return "";
}

}  // namespace sagebuild
