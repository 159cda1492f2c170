#pragma once
// What fails in a step, and the failures of a build.

#include <exception>
#include <string>
#include <vector>

#include "sagebuild/base/error.hpp"
#include "sagebuild/exec/scheduler.hpp"

namespace sagebuild {

// The one boundary of a step: whatever its functions throw is its failure, but a signal and a bug
// of ours end the build.
template <class Work, class OnError>
void guarded(Work work, OnError on_error) {
  try {
    work();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    if (error.kind == ErrorKind::bug) throw;
    on_error(error);
  } catch (const std::exception& error) {
    on_error(Error(ErrorKind::failed, error.what()));
  }
}

struct Failure {
  std::string label, command, output, log;
};

class Failures {
 public:
  // `settings` outlives it.
  explicit Failures(const ExecSettings& settings) : settings_(settings) {}

  bool empty() const { return failures_.empty(); }
  // Reports it, with a log that stays where it is.
  void add(Failure failure, Reporter& report);
  void throw_if_any() const;  // Error{failed} that names all

 private:
  void keep_log(Failure& failure) const;

  const ExecSettings& settings_;
  std::vector<Failure> failures_;
};

}  // namespace sagebuild
