// Writes a few small photograph-like JPEGs into a folder, one of them cut off:
//
//   make_pictures FOLDER

#include <gd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace fs = std::filesystem;

namespace {

// The colours run across the picture, so that it does not compress to nothing.
void draw(const fs::path& path, int width, int height) {
  const gdImagePtr image = gdImageCreateTrueColor(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      gdImageSetPixel(image, x, y,
                      gdTrueColor(x * 255 / width, y * 255 / height, (x * y / 97) % 256));
    }
  }
  const bool written = gdImageFile(image, path.c_str());
  gdImageDestroy(image);
  if (!written) {
    std::fprintf(stderr, "make_pictures: cannot write %s\n", path.c_str());
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_pictures FOLDER\n");
    return 2;
  }
  const fs::path folder = argv[1];
  draw(folder / "landscape.jpg", 640, 480);
  draw(folder / "portrait.jpg", 400, 800);
  draw(folder / "small.jpg", 200, 100);
  draw(folder / "square.jpg", 600, 600);
  const fs::path truncated = folder / "truncated.jpg";
  draw(truncated, 640, 480);
  fs::resize_file(truncated, fs::file_size(truncated) / 3);
}
