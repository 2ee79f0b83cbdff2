// How a process is started.
#pragma once

namespace forkful {
inline namespace v0 {

enum class Context {
  spawn,  // by executing this program once more; needs init()
  fork,   // by fork(): sees all memory as it was, and every lock that another thread held
  // By a server process, which is this program executed once and stopped in init(), and forks
  // itself for each start: quicker than spawn, and as clean, since the server has one thread and
  // has run nothing but static initialisers. Its environment, working directory and streams are
  // those of its own start, which is the first use. Needs init().
  forkserver,
};

}  // namespace v0
}  // namespace forkful
