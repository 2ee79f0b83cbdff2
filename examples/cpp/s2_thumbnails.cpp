// A pool makes thumbnails of a folder of pictures; a broken one stops nothing.

#include <gd.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iomanip>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fs = std::filesystem;

struct Task {
  fs::path file;
  fs::path output_dir;
  int size;
};

struct Result {
  std::string file;
  std::string error;  // empty: it went well
};

using Image = std::unique_ptr<gdImage, decltype(&gdImageDestroy)>;

std::string g_gd_error;

// Run by each worker once: libgd's messages become ours instead of lines on the terminal.
void init_pool_worker() {
  gdSetErrorMethod([](int, const char* format, va_list arguments) {
    char text[200];
    std::vsnprintf(text, sizeof text, format, arguments);
    g_gd_error = text;
    std::erase(g_gd_error, '\n');
  });
}

Image open_image(const fs::path& path) {
  const std::unique_ptr<FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "rb"),
                                                           std::fclose);
  if (!file) throw std::runtime_error("cannot be opened");
  g_gd_error.clear();
  Image image(gdImageCreateFromJpegEx(file.get(), 0), gdImageDestroy);
  // A picture that ends too early is one with a grey rest, and a message.
  if (!image || !g_gd_error.empty()) throw std::runtime_error(g_gd_error);
  return image;
}

Result process_image(const Task& task) {
  const std::string name = task.file.filename();
  try {
    const Image image = open_image(task.file);
    const int width = gdImageSX(image.get());
    const int height = gdImageSY(image.get());
    const int longest = std::max({width, height, task.size});
    const Image small(
        gdImageScale(image.get(), static_cast<unsigned>(std::max(1, width * task.size / longest)),
                     static_cast<unsigned>(std::max(1, height * task.size / longest))),
        gdImageDestroy);
    if (!gdImageFile(small.get(), (task.output_dir / name).c_str())) {
      throw std::runtime_error("cannot be saved");
    }
    return {name, ""};
  } catch (const std::exception& error) {
    return {name, error.what()};
  }
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  const fs::path output_dir = "thumbnails";
  fs::create_directory(output_dir);
  std::vector<Task> tasks;
  for (const auto& file : fs::directory_iterator("images")) {
    if (file.path().extension() == ".jpg") tasks.push_back({file.path(), output_dir, 300});
  }

  const auto start = std::chrono::steady_clock::now();
  forkful::Pool pool({.processes = 4, .initializer = init_pool_worker});
  std::vector<Result> results = pool.map(process_image, tasks);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;

  const auto failed =
      std::ranges::count_if(results, [](auto& each) { return !each.error.empty(); });
  std::cout << "Processed " << results.size() << " images in " << std::fixed << std::setprecision(2)
            << time.count() << "s\n";
  std::cout << "Success: " << std::ssize(results) - failed << ", Failed: " << failed << '\n';
  std::ranges::sort(results, {}, &Result::file);
  for (const auto& [file, error] : results) {
    if (!error.empty()) std::cout << "Error processing " << file << ": " << error << '\n';
  }
}
