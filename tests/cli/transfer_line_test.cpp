#include "sagebuild/cli/transfer_line.hpp"

#include <fmt/format.h>

#include <set>

#include "sagebuild/base/strings.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

using Clock = std::chrono::steady_clock;

const std::string kWheel =
    "sageattention-2.2.0+cu130torch2.11-cp311-cp311-manylinux_2_34_x86_64.whl";

TransferProgress sending(std::uint64_t done, std::uint64_t total, std::string item = kWheel) {
  return {"sending", done, total, 1, 3, std::move(item)};
}

}  // namespace

TEST_CASE("a line of 80 and one of 40 columns hold percent, bytes, rate and time") {
  const TransferProgress progress = sending(84'000'000, 199'000'000);
  CHECK(transfer_line(progress, 2.1e6, 79) ==
        "sending 1/3 sageatte...86_64.whl [####------] 42% 84.0/199 MB 2.1 MB/s 55s left");
  CHECK(transfer_line(progress, 2.1e6, 39) == "sending 42% 84.0/199 MB 2.1 MB/s 55s");
  CHECK(transfer_line(progress, 2.1e6, 200).find(kWheel) != std::string::npos);
}

TEST_CASE("at every width a figure is whole or not there, and nothing is wider") {
  const std::vector<std::string> names = {"", "a.whl", kWheel, "r\xc3\xa9sum\xc3\xa9-1.0.whl",
                                          "\xe8\xbd\xae\xe5\xad\x90-1.0-py3-none-any.whl"};
  for (const std::string& name : names) {
    for (const auto& [done, total] : {std::pair<std::uint64_t, std::uint64_t>{0, 0},
                                      {5, 5},
                                      {999'499, 1'000'000},
                                      {84'000'000, 199'000'000},
                                      {7'300'000'000, 12'000'000'000}}) {
      for (const std::optional<double> rate :
           {std::optional<double>(), {0.0}, {950.0}, {12.3e6}, {1.0}}) {
        const TransferProgress progress = sending(done, total, name);
        const std::string whole = transfer_line(progress, rate, 400);
        std::set<std::string> figures = {"left", "stalled"};
        for (const std::string_view word : split(whole, " ")) figures.insert(std::string(word));
        for (std::size_t width = 1; width <= 200; ++width) {
          const std::string line = transfer_line(progress, rate, width);
          INFO(width << " '" << line << "' of '" << whole << "'");
          CHECK_FALSE(first_bad_utf8(line));
          CHECK(line.size() <= width + 2 * name.size());  // bytes of a character are not columns
          if (name.empty() || name == kWheel) CHECK(line.size() <= width);
          for (const std::string_view word : split(line, " ")) {
            if (word.find("...") == std::string_view::npos)
              CHECK(figures.contains(std::string(word)));
          }
        }
      }
    }
  }
}

TEST_CASE("a transfer that is not whole is never shown as 100%") {
  CHECK(transfer_line(sending(999'999'999, 1'000'000'000), {}, 100).find(" 99%") !=
        std::string::npos);
  CHECK(transfer_line(sending(5, 5), {}, 100).find("100%") != std::string::npos);
}

TEST_CASE("the rate is that of the last seconds, and the time left follows it") {
  TransferRate rate;
  const auto begin = Clock::now();
  const auto add = [&](int second, std::uint64_t bytes) {
    rate.add(begin + std::chrono::seconds(second), bytes);
  };
  add(0, 0);
  CHECK_FALSE(rate.per_second());
  for (int second = 1; second <= 30; ++second)
    add(second, static_cast<std::uint64_t>(second) * 10'000'000);
  CHECK(*rate.per_second() == Approx(1e7));
  for (int second = 31; second <= 60; ++second)  // the link has become slow
    add(second, 300'000'000 + static_cast<std::uint64_t>(second - 30) * 100'000);
  CHECK(*rate.per_second() == Approx(1e5));
  for (int second = 61; second <= 90; ++second) add(second, 303'000'000);
  CHECK(*rate.per_second() == 0);
  CHECK(transfer_line(sending(303'000'000, 400'000'000), 0.0, 120).ends_with(" stalled"));
  add(91, 1000);  // another transfer
  CHECK_FALSE(rate.per_second());
}

TEST_CASE("a name is shortened in its middle, by whole characters") {
  CHECK(shortened_in_middle("abcdefghij", 10) == "abcdefghij");
  CHECK(shortened_in_middle("abcdefghij", 9) == "abc...hij");
  CHECK(shortened_in_middle("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 5) ==
        "\xc3\xa9...\xc3\xa9");
  CHECK(shortened_in_middle("abcdef", 2) == "..");
}

TEST_CASE("a fetch of objects without a known size says what it has") {
  CHECK(transfer_line({"fetching thu-ml/SageAttention", 1'200'000, 0, 12, 100, ""}, {}, 100) ==
        "fetching thu-ml/SageAttention 12 of 100 objects 1.2 MB");
}

}  // namespace sagebuild
