// To be deleted: conformances that belong in the modules of these types. Package.swift names Objectives for this file
// alone.

import Checkpoints
import Configuration
import Diagnostics
import Errors
import Exports
import Files
import Foundation
import Learning
import LowBit
import MPI
import Models
import Objectives
import Parallelism
import Reports
import Rollouts
import Runs

extension ConfigurationError: QuillanError {
  public var status: ErrorStatus { .usage }
  public var problem: String { message }
}

extension ConfigurationIssue: QuillanError {
  public var status: ErrorStatus { .usage }
  public var problem: String { rule }
}

extension TrainingError: QuillanError {
  public var status: ErrorStatus {
    switch kind {
    case .configuration: .usage
    case .data: .data
    case .failure: .failure
    }
  }

  public var problem: String { description }
}

extension CheckpointError: QuillanError {
  public var status: ErrorStatus { isCorruptData ? .data : .failure }
}

extension TaskError: QuillanError {
  public var status: ErrorStatus { .usage }
}

extension GoldenCaseError: QuillanError {
  public var status: ErrorStatus { .data }
}

extension PackedFileError: QuillanError {
  public var status: ErrorStatus { isCorruptData ? .data : .failure }
}

extension ModelSourceError: QuillanError {
  public var status: ErrorStatus { isBadData ? .data : .failure }
}

extension NumpyError: QuillanError {
  public var status: ErrorStatus { isBadData ? .data : .failure }
}

extension SafetensorsError: QuillanError {
  public var status: ErrorStatus { isCorruptData ? .data : .failure }
}

extension DataError: QuillanError {
  public var status: ErrorStatus { line != nil || isReadableFile(file) ? .data : .failure }
}

extension TokenizerError: QuillanError {
  public var status: ErrorStatus { line != nil || isReadableFile(file) ? .data : .failure }
}

extension RewardError: QuillanError {
  public var status: ErrorStatus { .failure }
}

extension SamplingError: QuillanError {
  public var status: ErrorStatus { .failure }
  public var problem: String { description }
}

extension MPIError: QuillanError {
  public var status: ErrorStatus { .failure }
  public var problem: String { text }
}

extension ReplicaError: QuillanError {
  public var status: ErrorStatus { .failure }
  public var problem: String { description }
}

extension ReportError: QuillanError {
  public var status: ErrorStatus { .failure }
  public var problem: String { message }
}

extension TensorBoardError: QuillanError {
  public var status: ErrorStatus { .failure }
}

extension OutputError: QuillanError {
  public var status: ErrorStatus { .failure }
}

extension MemoryError: QuillanError {
  public var status: ErrorStatus { .failure }
  public var problem: String { description }
}

extension BitEncoderError: QuillanError {
  public var status: ErrorStatus { .failure }
  public var problem: String { description }
}

extension ObjectiveError: QuillanError {
  public var status: ErrorStatus { .failure }
  public var problem: String { description }
}

/// Whether there is a file to read at `path`, so that an error about it concerns its contents.
private func isReadableFile(_ path: String) -> Bool {
  var isDirectory: ObjCBool = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
    && FileManager.default.isReadableFile(atPath: path)
}
