// Runs a fuzzer of the table, or a short turn of all of them.
//
//   fuzzers list                          name and reader of each
//   fuzzers NAME seconds N [SEED [DIR]]   by libFuzzer, if it is there, else by mutate()
//   fuzzers NAME inputs N [SEED [DIR]]    so many inputs by mutate(): the same ones for one seed
//   fuzzers NAME file PATH...             inputs that were found before
//   fuzzers smoke [SEED [DIR]]            a short turn of each but the canary, by mutate()
//
// What makes a reader fail is written to DIR, the working directory without one. The exit code is
// 0 where none did.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>

#include "mutate.hpp"

#ifdef FORKFUL_LIBFUZZER
extern "C" int LLVMFuzzerRunDriver(int* argc, char*** argv,
                                   int (*read)(const std::uint8_t* data, std::size_t size));
#endif

namespace forkful::fuzz {
namespace {

using std::chrono::steady_clock;
using Path = std::filesystem::path;

struct Task {
  const Fuzzer* fuzzer = nullptr;
  std::uint64_t seconds = 0;  // 0: `inputs` say how long
  std::uint64_t inputs = 0;
  std::uint64_t seed = 0;
  Path folder = ".";
};

// --- by mutation ---

// What a process that reads inputs tells whoever watches it.
struct Progress {
  std::atomic<std::uint64_t> done;
  std::size_t size;  // of the input being read
  std::byte input[kMostBytes];
};

[[noreturn]] void read_mutations(const Task& task, Progress& progress) {
  const auto end = steady_clock::now() + std::chrono::seconds(task.seconds);
  Random random(task.seed);
  const std::vector<Input> seeds = task.fuzzer->seeds();
  ::signal(SIGALRM, SIG_DFL);
  for (std::uint64_t i = 0; task.seconds != 0 ? steady_clock::now() < end : i < task.inputs; ++i) {
    // First the seeds as they are.
    const Input input = i < seeds.size() ? seeds[i] : mutate(seeds, random);
    progress.size = input.size();
    std::copy(input.begin(), input.end(), progress.input);
    ::alarm(kMostSeconds);
    task.fuzzer->read(input);
    progress.done.store(i + 1, std::memory_order_relaxed);
  }
  std::exit(0);
}

Path keep(const Task& task, Bytes input) {
  const Path path =
      task.folder / ("crash-" + std::string(task.fuzzer->name) + "-" + std::to_string(task.seed));
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(input.data()),
             static_cast<std::streamsize>(input.size()));
  return path;
}

// Runs `body` in a process of its own, in which a crash is one. Returns how that ended.
template <class Body>
int in_a_process(Body&& body) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) std::abort();
  if (pid == 0) {
    body();
    std::exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

bool run_mutations(const Task& task) {
  void* const memory =
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  auto& progress = *new (memory) Progress{};
  const auto begin = steady_clock::now();
  const int status = in_a_process([&] { read_mutations(task, progress); });
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  const std::uint64_t done = progress.done.load();
  const bool well = status == 0;
  std::printf("fuzz: %-11.*s %9llu inputs, %8.0f a second, seed %llu: %s\n",
              static_cast<int>(task.fuzzer->name.size()), task.fuzzer->name.data(),
              static_cast<unsigned long long>(done), static_cast<double>(done) / took.count(),
              static_cast<unsigned long long>(task.seed), well ? "none found" : "FOUND one");
  if (!well) {
    const Path path = keep(task, Bytes(progress.input, progress.size));
    std::printf("fuzz: status %d; again:\n    fuzzers %.*s file %s\n", status,
                static_cast<int>(task.fuzzer->name.size()), task.fuzzer->name.data(), path.c_str());
  }
  ::munmap(memory, sizeof(Progress));
  return well;
}

// --- by libFuzzer ---

#ifdef FORKFUL_LIBFUZZER

const Fuzzer* g_fuzzer = nullptr;

bool run_libfuzzer(const Task& task) {
  const Path corpus = task.folder / ("corpus-" + std::string(task.fuzzer->name));
  std::filesystem::create_directories(corpus);
  // In a process of its own, since to make them may make a family.
  const int status = in_a_process([&] {
    int count = 0;
    for (const Input& seed : task.fuzzer->seeds()) {
      std::ofstream(corpus / ("seed-" + std::to_string(count++)), std::ios::binary)
          .write(reinterpret_cast<const char*>(seed.data()),
                 static_cast<std::streamsize>(seed.size()));
    }
  });
  if (status != 0) return false;
  std::vector<std::string> words{
      "fuzzers",
      corpus.string(),
      "-max_total_time=" + std::to_string(task.seconds),
      "-seed=" + std::to_string(task.seed & 0xffffffff),
      "-timeout=" + std::to_string(kMostSeconds),
      "-max_len=" + std::to_string(kMostBytes),
      "-print_final_stats=1",
      "-rss_limit_mb=4096",
      "-artifact_prefix=" + task.folder.string() + "/" + std::string(task.fuzzer->name) + "-"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  char** all = arguments.data();
  g_fuzzer = task.fuzzer;
  return LLVMFuzzerRunDriver(&count, &all, [](const std::uint8_t* data, std::size_t size) {
           g_fuzzer->read(std::as_bytes(std::span(data, size)));
           return 0;
         }) == 0;
}

bool run(const Task& task) { return task.seconds != 0 ? run_libfuzzer(task) : run_mutations(task); }

#else

bool run(const Task& task) { return run_mutations(task); }

#endif

// --- the command line ---

int usage() {
  std::fputs(
      "usage: fuzzers list | fuzzers smoke [SEED [DIR]] | fuzzers NAME seconds|inputs N [SEED "
      "[DIR]] "
      "| fuzzers NAME file PATH...\n",
      stderr);
  return 2;
}

std::optional<std::uint64_t> number_in(std::string_view word) {
  std::uint64_t number = 0;
  const auto end = std::from_chars(word.data(), word.data() + word.size(), number);
  if (end.ec != std::errc() || end.ptr != word.data() + word.size()) return std::nullopt;
  return number;
}

int list() {
  for (const Fuzzer& each : fuzzers()) {
    std::printf("%.*s\t%.*s\n", static_cast<int>(each.name.size()), each.name.data(),
                static_cast<int>(each.reader.size()), each.reader.data());
  }
  return 0;
}

int read_files(const Fuzzer& fuzzer, std::span<char*> paths) {
  for (const char* path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    std::printf("fuzz: reads the %zu bytes of %s\n", text.size(), path);
    std::fflush(stdout);
    // In a block of its own size, so that a sanitizer sees what lies beyond.
    const Input input = input_of(std::as_bytes(std::span(text)));
    fuzzer.read(input);
  }
  return 0;
}

int smoke(Task task) {
  bool well = true;
  for (const Fuzzer& each : fuzzers().subspan(1)) {
    task.fuzzer = &each;
    task.inputs = each.few;
    well = run_mutations(task) && well;
  }
  return well ? 0 : 1;
}

const Fuzzer* fuzzer_of(std::string_view name) {
  for (const Fuzzer& each : fuzzers()) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

int main(std::span<char*> words) {
  const auto word = [&](std::size_t index) {
    return index < words.size() ? std::string_view(words[index]) : std::string_view();
  };
  if (word(0) == "list") return list();
  const bool is_smoke = word(0) == "smoke";
  const std::string_view how = word(1);
  Task task{.fuzzer = fuzzer_of(word(0))};
  if (!is_smoke && task.fuzzer == nullptr) return usage();
  if (how == "file") return read_files(*task.fuzzer, words.subspan(2));
  const std::size_t seed_at = is_smoke ? 1 : 3;
  const auto count = is_smoke ? 0 : number_in(word(2));
  const auto seed = words.size() > seed_at ? number_in(word(seed_at)) : std::random_device{}();
  if (!count || !seed || (!is_smoke && how != "seconds" && how != "inputs")) return usage();
  (how == "seconds" ? task.seconds : task.inputs) = *count;
  task.seed = *seed;
  if (words.size() > seed_at + 1) task.folder = word(seed_at + 1);
  std::filesystem::create_directories(task.folder);
  if (is_smoke) return smoke(task);
  return run(task) ? 0 : 1;
}

}  // namespace
}  // namespace forkful::fuzz

int main(int argc, char** argv) {
  return forkful::fuzz::main(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
}
