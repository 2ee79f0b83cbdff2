// A pool hashes the pictures of a folder; results are structs.

#include <openssl/evp.h>

#include <array>
#include <filesystem>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

struct Image {
  fs::path path;
  std::size_t size;
  std::string hash;
};

std::string md5(const std::string& data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_md5(), nullptr);
  std::ostringstream hex;
  hex << std::hex << std::setfill('0');
  for (unsigned i = 0; i < size; ++i) hex << std::setw(2) << int{digest[i]};
  return hex.str();
}

Image process_image(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string data(std::istreambuf_iterator<char>(file), {});
  return {path, data.size(), md5(data)};
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  std::vector<fs::path> paths;
  for (const auto& file : fs::directory_iterator("images")) {
    if (file.path().extension() == ".jpg") paths.push_back(file.path());
  }

  forkful::Pool pool;  // as many workers as this process has CPUs
  for (const Image& image : pool.map(process_image, paths)) {
    std::cout << image.path.string() << ": " << image.hash << '\n';
  }
}
