#pragma once
// The line that shows a transfer, made for a width.

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// How fast a transfer goes, by what it did in the last seconds: an average over the whole would
// promise an end that a link which has become slow does not keep.
class TransferRate {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Fewer bytes than before are the beginning of another transfer.
  void add(Time now, std::uint64_t bytes);
  // Bytes per second; nothing while there is too little to judge by.
  std::optional<double> per_second() const;

 private:
  std::deque<std::pair<Time, std::uint64_t>> samples_;
};

// At most `width` columns. Names are shortened in their middle and left out where there is no room,
// then the bar, then the words; the figures are whole or not there at all.
std::string transfer_line(const TransferProgress& progress, std::optional<double> rate,
                          std::size_t width);

// The first and the last part of a text with "..." between them, at most `width` columns.
std::string shortened_in_middle(const std::string& text, std::size_t width);

}  // namespace sagebuild
