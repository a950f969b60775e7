//! NVIDIA's compilers, from their Python packages.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{packages, workspace};

/// Where the compilers are.
pub(super) struct Tools {
    /// Library of the oldest NVRTC that knows all that the kernels use; its PTX suits drivers from CUDA 12.0 on.
    pub nvrtc_oldest: PathBuf,
    /// Library of a recent NVRTC.
    pub nvrtc_newest: PathBuf,
    /// Assembler of the last CUDA 12: its machine code suits drivers of CUDA 12 and later, and it knows sm_120.
    pub ptxas: PathBuf,
    /// Folder of a recent nvcc, with `bin` and `lib`.
    pub nvcc: PathBuf,
}

/// Folder in the cache, the packages in it, and a file by which to see that they are there.
type Set = (&'static str, &'static [&'static str], &'static str);

const NVRTC_OLDEST: Set =
    ("nvrtc-12.0.76", &["nvidia-cuda-nvrtc-cu12==12.0.76"], "nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
const NVRTC_NEWEST: Set = ("nvrtc-13.0.88", &["nvidia-cuda-nvrtc==13.0.88"], "nvidia/cu13/lib/libnvrtc.so.13");
const PTXAS: Set = ("ptxas-12.9.86", &["nvidia-cuda-nvcc-cu12==12.9.86"], "nvidia/cuda_nvcc/bin/ptxas");
const NVCC: Set = (
    "nvcc-13.0.88",
    &[
        "nvidia-cuda-nvcc==13.0.88",
        "nvidia-cuda-crt==13.0.88",
        "nvidia-nvvm==13.0.88",
        "nvidia-cuda-runtime==13.0.96",
        "nvidia-cuda-cccl==13.0.85",
    ],
    "nvidia/cu13/bin/nvcc",
);

/// Fetches what is not there yet.
pub(super) fn fetch() -> Result<Tools> {
    let (_, _, nvcc) = NVCC;
    let nvcc_folder = Path::new(nvcc).parent().and_then(Path::parent).context("nvcc lies in a folder")?;
    fetch_set(&NVCC)?;
    Ok(Tools {
        nvrtc_oldest: fetch_set(&NVRTC_OLDEST)?,
        nvrtc_newest: fetch_set(&NVRTC_NEWEST)?,
        ptxas: fetch_set(&PTXAS)?,
        nvcc: folder(&NVCC).join(nvcc_folder),
    })
}

fn folder((name, _, _): &Set) -> PathBuf {
    workspace::cache().join("cuda").join(name)
}

fn fetch_set(set: &Set) -> Result<PathBuf> {
    let (_, names, file) = set;
    packages::fetch(&folder(set), names, file)
}
