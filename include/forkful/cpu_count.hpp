// How many CPUs this process may use.
#pragma once

#include <forkful/bytes/family.hpp>

namespace forkful {
inline namespace v0 {

// The affinity mask, within the cgroup's quota: in a container this is what the container was
// given, where std::thread::hardware_concurrency() counts the machine. At least 1.
[[nodiscard]] inline unsigned cpu_count() { return bytes::default_cpu_count(); }

}  // namespace v0
}  // namespace forkful
