// A farm of MPI processes for the same tiny tasks: rank 0 hands out chunks to whoever asks and
// puts the results in order, the others work.
//
//   mpirun -n 3 farm_mpi ITEMS CHUNK REPETITIONS
//
// CHUNK is items a message; 0: four chunks a worker, as forkful's Pool cuts them. Prints items a
// second, a line a repetition. A worker's next chunk is under way while it works on one.

#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tiny.hpp"

namespace {

// The tag of a chunk, and of its results, is its number plus one.
constexpr int kStop = 0;

void work(std::size_t chunk_size) {
  std::vector<int> chunk(chunk_size);
  for (;;) {
    MPI_Status status;
    MPI_Recv(chunk.data(), static_cast<int>(chunk.size()), MPI_INT, 0, MPI_ANY_TAG, MPI_COMM_WORLD,
             &status);
    if (status.MPI_TAG == kStop) return;
    int size = 0;
    MPI_Get_count(&status, MPI_INT, &size);
    for (int i = 0; i < size; ++i) {
      chunk[static_cast<std::size_t>(i)] = bench::tiny(chunk[static_cast<std::size_t>(i)]);
    }
    MPI_Send(chunk.data(), size, MPI_INT, 0, status.MPI_TAG, MPI_COMM_WORLD);
  }
}

// Sends from the items and receives into the results, with no copy of its own in between.
class Master {
 public:
  Master(const std::vector<int>& items, std::size_t chunk_size, int workers)
      : items_(items),
        results_(items.size()),
        chunk_size_(chunk_size),
        chunks_((items.size() + chunk_size - 1) / chunk_size),
        workers_(workers) {}

  std::vector<int> run() {
    constexpr int kUnderWay = 2;
    for (int turn = 0; turn < kUnderWay; ++turn) {
      for (int worker = 1; worker <= workers_; ++worker) send_next(worker);
    }
    for (std::size_t received = 0; received < chunks_; ++received) send_next(receive());
    return std::move(results_);
  }

 private:
  [[nodiscard]] std::size_t begin_of(std::size_t chunk) const { return chunk * chunk_size_; }
  [[nodiscard]] int size_of(std::size_t chunk) const {
    return static_cast<int>(std::min(chunk_size_, items_.size() - begin_of(chunk)));
  }

  void send_next(int worker) {
    if (next_ == chunks_) return;
    MPI_Request request;
    MPI_Isend(items_.data() + begin_of(next_), size_of(next_), MPI_INT, worker,
              static_cast<int>(next_) + 1, MPI_COMM_WORLD, &request);
    // The items stay; that it was sent is known when its results come.
    MPI_Request_free(&request);
    ++next_;
  }
  int receive() {
    MPI_Status status;
    MPI_Probe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
    const auto chunk = static_cast<std::size_t>(status.MPI_TAG) - 1;
    MPI_Recv(results_.data() + begin_of(chunk), size_of(chunk), MPI_INT, status.MPI_SOURCE,
             status.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
  }

  const std::vector<int>& items_;
  std::vector<int> results_;
  std::size_t chunk_size_;
  std::size_t chunks_;
  int workers_;
  std::size_t next_ = 0;
};

void lead(std::size_t count, std::size_t chunk_size, int workers, int repetitions) {
  const std::vector<int> items = bench::items(count);
  const std::vector<int> some = bench::items(std::min<std::size_t>(count, 1000));
  for (int i = 0; i < repetitions; ++i) {
    (void)Master(some, chunk_size, workers).run();
    const double begin = MPI_Wtime();
    const std::vector<int> results = Master(items, chunk_size, workers).run();
    const double seconds = MPI_Wtime() - begin;
    bench::check_results(results, count);
    std::printf("%.6g\n", static_cast<double>(count) / seconds);
  }
  for (int worker = 1; worker <= workers; ++worker) {
    MPI_Send(nullptr, 0, MPI_INT, worker, kStop, MPI_COMM_WORLD);
  }
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc != 4 || size < 2) {
    std::fprintf(stderr, "usage: mpirun -n 3 farm_mpi ITEMS CHUNK REPETITIONS\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  const auto count = static_cast<std::size_t>(std::atol(argv[1]));
  const int workers = size - 1;
  const std::size_t chunks = 4 * static_cast<std::size_t>(workers);
  const auto asked = static_cast<std::size_t>(std::atol(argv[2]));
  const std::size_t chunk_size = asked != 0 ? asked : (count + chunks - 1) / chunks;
  if (rank == 0) {
    lead(count, chunk_size, workers, std::atoi(argv[3]));
  } else {
    work(chunk_size);
  }
  MPI_Finalize();
}
