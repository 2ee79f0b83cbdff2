// Hashes photographs and makes thumbnails of them, in a loop and with a pool.
//
//   thumbnails PHOTOS OUTPUT     writes OUTPUT/thumbnails-cpp/*.jpg and OUTPUT/hashes-cpp.txt
//
// Thumbnails need libgd, SHA-256 needs OpenSSL; what was missing when this was built is said and
// left out.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <forkful/cpu_count.hpp>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "times.hpp"

#ifdef DEMO_HAS_GD
#include <gd.h>
#endif
#ifdef DEMO_HAS_OPENSSL
#include <openssl/evp.h>
#endif

namespace {

namespace fs = std::filesystem;

constexpr int kWidth = 240;
constexpr int kHeight = 160;

struct Status {
  std::string name;
  std::string hash;
  int width = 0;
  int height = 0;
  std::string error;  // empty: all went well
  double seconds = 0;
};

// One item of the pool's: a photograph, and the folder for its thumbnail.
using Task = std::pair<std::string, std::string>;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot be opened");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string hash_of(const std::string& data) {
#ifdef DEMO_HAS_OPENSSL
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
#else
  const std::size_t digest_word = std::hash<std::string>()(data);
  const auto* digest = reinterpret_cast<const unsigned char*>(&digest_word);
  const unsigned size = sizeof digest_word;
#endif
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

#ifdef DEMO_HAS_GD
using Image = std::unique_ptr<gdImage, decltype(&gdImageDestroy)>;

std::string g_gd_error;

Image decode(std::string& data) {
  const int size = static_cast<int>(data.size());
  const bool jpeg = data.starts_with("\xff\xd8");
  Image image(jpeg ? gdImageCreateFromJpegPtrEx(size, data.data(), 0)
                   : gdImageCreateFromPngPtr(size, data.data()),
              gdImageDestroy);
  // Why even with an image: a photo that ends too early is one with a grey rest, and a message.
  if (!g_gd_error.empty()) throw std::runtime_error(g_gd_error);
  if (!image) throw std::runtime_error("neither a JPEG nor a PNG");
  return image;
}

void make_thumbnail(std::string& data, const std::string& folder, Status& status) {
  g_gd_error.clear();
  gdSetErrorMethod([](int, const char* format, va_list arguments) {
    char text[200];
    std::vsnprintf(text, sizeof text, format, arguments);
    g_gd_error = text;
    std::erase(g_gd_error, '\n');
  });
  const Image image = decode(data);
  status.width = gdImageSX(image.get());
  status.height = gdImageSY(image.get());
  const double scale =
      std::min({1.0, double{kWidth} / status.width, double{kHeight} / status.height});
  const int width = std::max(1, static_cast<int>(status.width * scale));
  const int height = std::max(1, static_cast<int>(status.height * scale));
  const Image small(gdImageCreateTrueColor(width, height), gdImageDestroy);
  gdImageCopyResampled(small.get(), image.get(), 0, 0, 0, 0, width, height, status.width,
                       status.height);
  const std::string path = folder + "/" + status.name + ".jpg";
  const std::unique_ptr<FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "wb"),
                                                           std::fclose);
  if (!file) throw std::runtime_error("cannot write " + path);
  constexpr int kQuality = 85;
  gdImageJpeg(small.get(), file.get(), kQuality);
}
#endif

// A broken file is a status like any other, so that it stops nothing.
Status process_photo(const std::string& path, [[maybe_unused]] const std::string& folder) {
  const auto begin = std::chrono::steady_clock::now();
  Status status{.name = fs::path(path).filename(), .hash = {}, .error = {}};
  try {
    std::string data = read_file(path);
    status.hash = hash_of(data);
#ifdef DEMO_HAS_GD
    make_thumbnail(data, folder, status);
#endif
  } catch (const std::exception& error) {
    status.error = error.what();
  }
  status.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return status;
}

// The large ones first: the last task should not be the longest.
std::vector<Task> tasks_for(const fs::path& photos, const std::string& thumbnails) {
  std::vector<fs::directory_entry> files(fs::directory_iterator(photos), {});
  std::ranges::sort(files, std::greater(), [](const auto& file) { return file.file_size(); });
  std::vector<Task> tasks;
  for (const auto& file : files) tasks.emplace_back(file.path(), thumbnails);
  return tasks;
}

void report(std::vector<Status> found, const fs::path& hashes) {
  std::ranges::sort(found, {}, &Status::name);
#ifdef DEMO_HAS_OPENSSL
  std::ofstream file(hashes);
  for (const Status& status : found) file << status.hash << "  " << status.name << '\n';
#else
  fs::remove(hashes);
#endif
  std::size_t failed = 0;
  for (const Status& status : found) {
    std::string what = status.error.empty() ? "" : ": FAILED: " + status.error;
    if (status.width != 0) {
      what = ": " + std::to_string(status.width) + "x" + std::to_string(status.height) + what;
    }
    std::printf("  %s  %.12s %5.2f s  %s%s\n", status.error.empty() ? "ok" : "--",
                status.hash.c_str(), status.seconds, status.name.c_str(), what.c_str());
    failed += !status.error.empty();
  }
  std::printf("  %zu files done, %zu failed\n", found.size() - failed, failed);
}

void say_what_is_missing() {
#ifndef DEMO_HAS_GD
  std::puts("  no thumbnails: libgd was not found (Debian: libgd-dev), so files are hashed only");
#endif
#ifndef DEMO_HAS_OPENSSL
  std::puts(
      "  no SHA-256: OpenSSL was not found (Debian: libssl-dev); another hash takes its place");
#endif
}

}  // namespace

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: thumbnails PHOTOS OUTPUT\n");
    return 2;
  }
  const fs::path output = argv[2];
  const std::string thumbnails = output / "thumbnails-cpp";
  fs::create_directories(thumbnails);
  const std::vector<Task> tasks = tasks_for(argv[1], thumbnails);
  const unsigned workers = forkful::cpu_count();
  std::printf("C++: hashes and thumbnails of %zu files, %u workers\n", tasks.size(), workers);
  say_what_is_missing();
  std::fflush(stdout);

  timed("photographs", "in a loop", [&] {
    std::vector<Status> found;
    for (const auto& [photo, folder] : tasks) found.push_back(process_photo(photo, folder));
    return found;
  });
  const auto found = timed("photographs", "Pool of " + std::to_string(workers), [&] {
    forkful::Pool pool(static_cast<int>(workers));
    return pool.starmap(process_photo, tasks, {.chunk_size = 1});
  });
  report(found, output / "hashes-cpp.txt");
}
