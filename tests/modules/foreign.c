/* A program that knows nothing of forkful, and runs a plug-in that does.
 *
 *   foreign PLUGIN FUNCTION
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (plugin == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  int (*function)(void);
  *(void**)&function = dlsym(plugin, argv[2]);
  return function == NULL ? 2 : function();
}
