# Sets PBT_WITH_CUDA: is the module pbt_cuda.so built?  -DPBT_CUDA=AUTO takes what is there,
# ON stops without it, OFF does not look.
set(PBT_CUDA AUTO CACHE STRING "Build the CUDA backend: AUTO, ON or OFF")
set_property(CACHE PBT_CUDA PROPERTY STRINGS AUTO ON OFF)
set(PBT_CUDA_ARCHITECTURES "80-real;90" CACHE STRING
  "What the kernels are compiled for; N-real is machine code, N that and PTX")
set(PBT_WITH_CUDA OFF)

if(NOT PBT_CUDA STREQUAL "OFF")
  find_program(PBT_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH ENV CUDA_HOME
    PATHS /usr/local/cuda PATH_SUFFIXES bin)
  set(missing "")
  if(PBT_NVCC)
    if(NOT CMAKE_CUDA_COMPILER)
      set(CMAKE_CUDA_COMPILER ${PBT_NVCC} CACHE FILEPATH "CUDA compiler")
    endif()
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES ${PBT_CUDA_ARCHITECTURES})
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit 12)
    # cuDNN lies with CUDA, with the system, or in a Python package (CUDNN_ROOT names others).
    find_path(PBT_CUDNN_INCLUDE cudnn_graph.h HINTS ENV CUDNN_ROOT ${CUDNN_ROOT}
      ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
    find_library(PBT_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ENV CUDNN_ROOT
      ${CUDNN_ROOT} ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
  else()
    list(APPEND missing "nvcc")
  endif()
  if(PBT_NVCC AND NOT TARGET CUDA::cublasLt)
    list(APPEND missing "cuBLASLt")
  endif()
  if(PBT_NVCC AND NOT (PBT_CUDNN_INCLUDE AND PBT_CUDNN_LIBRARY))
    list(APPEND missing "cuDNN 9")
  endif()
  if(missing STREQUAL "")
    set(PBT_WITH_CUDA ON)
  elseif(PBT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PBT_CUDA=ON, but there is no: ${missing}")
  endif()
endif()
message(STATUS "CUDA backend: ${PBT_WITH_CUDA} ${missing}")
