// How a process is started.
#pragma once

namespace forkful {
inline namespace v0 {

enum class Context {
  spawn,  // by executing this program once more; needs init()
  fork,   // by fork(): sees all memory as it was, and every lock that another thread held
};

}  // namespace v0
}  // namespace forkful
