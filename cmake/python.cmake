# forkful._core, a client of the public headers only.

find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)

file(GLOB FORKFUL_BINDINGS CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/bindings/*.cpp")
Python_add_library(_core MODULE WITH_SOABI ${FORKFUL_BINDINGS})
target_link_libraries(_core PRIVATE forkful::forkful)
set_source_files_properties("${PROJECT_SOURCE_DIR}/python/bindings/core.cpp" PROPERTIES
  COMPILE_DEFINITIONS "FORKFUL_VERSION=\"${PROJECT_VERSION}\"")
set_target_properties(_core PROPERTIES CXX_VISIBILITY_PRESET hidden)
# Why: an engine linked into the host program as well must not bind to this one's symbols.
target_link_options(_core PRIVATE -Wl,--exclude-libs,ALL)
# Why: no frame of ours may be unwound by the end of a thread; see bindings/refused_threads.cpp.
target_link_options(_core PRIVATE -Wl,--wrap=__gxx_personality_v0)

install(TARGETS _core DESTINATION forkful COMPONENT python)
