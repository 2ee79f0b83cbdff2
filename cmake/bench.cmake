# One program per file of bench/cpp. Those named *_gbench.cpp use Google Benchmark and are left
# out where it is missing.

find_package(benchmark QUIET)
file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/cpp/*.cpp")
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  if(name MATCHES "_gbench$" AND NOT benchmark_FOUND)
    message(STATUS "Google Benchmark not found: bench/cpp/${name}.cpp is left out")
    continue()
  endif()
  add_executable(bench_${name} "${source}")
  target_link_libraries(bench_${name} PRIVATE forkful::forkful $<TARGET_NAME_IF_EXISTS:benchmark::benchmark>)
  set_target_properties(bench_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bench")
endforeach()
