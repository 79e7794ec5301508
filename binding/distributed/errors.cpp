#include "errors.h"

#include <exception>

namespace m3l::distributed {

std::string reason() {
  std::string message;
  try {
    throw;
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::exception& error) {
    message = error.what();
  } catch (...) {
    message = "an exception of unknown type";
  }
  // c10d's begin with the place in its sources, and end with a stack where they were made with one.
  if (message.rfind("[", 0) == 0 && message.find("] ") != std::string::npos) {
    message = message.substr(message.find("] ") + 2);
  }
  for (const char* end :
       {"\nException raised from", "\n\n", ". This may indicate", ". This is typically"}) {
    message = message.substr(0, message.find(end));
  }
  return message;
}

std::string ranks_text(const std::vector<int64_t>& ranks) {
  return c10::str(ranks.size() == 1 ? "rank " : "ranks ", c10::Join(", ", ranks));
}

std::string seconds_text(std::chrono::milliseconds duration) {
  const auto milliseconds = duration.count();
  if (milliseconds % 1000 == 0) {
    return c10::str(milliseconds / 1000, " s");
  }
  return c10::str(static_cast<double>(milliseconds) / 1000, " s");
}

}  // namespace m3l::distributed
