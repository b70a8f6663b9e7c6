import Formats

extension Manifest {
  /// Checks coverage: every tensor is complete and occurs once, and every byte of every file belongs to one slice.
  ///
  /// No arithmetic here can overflow, and no allocation has a size from the manifest.
  ///
  /// - Throws: `CheckpointError` of code `inconsistentLayout`, naming tensor, file and offset.
  func validate(path: String) throws(CheckpointError) {
    func fault(_ problem: String, _ tensor: TensorKey? = nil, _ offset: Int? = nil) -> CheckpointError {
      CheckpointError(
        .inconsistentLayout, path: path, tensor: tensor?.description, offset: offset, problem: problem,
        remedy: CheckpointError.damaged)
    }
    guard Set(files.map(\.name)).count == files.count else { throw fault("a file is named twice") }
    for (previous, next) in zip(tensors, tensors.dropFirst()) where !(previous.key < next.key) {
      throw fault(previous.key == next.key ? "the tensor appears twice" : "the tensors are not in order", next.key)
    }
    var slicesByFile: [[(slice: Slice, tensor: Int)]] = Array(repeating: [], count: files.count)
    for (index, tensor) in tensors.enumerated() {
      guard let byteCount = tensor.type.byteCount(shape: tensor.shape) else {
        throw fault("shape \(tensor.shape) is impossible", tensor.key)
      }
      let count = byteCount / tensor.type.byteCount
      var covered = 0
      for slice in tensor.slices {
        guard slice.range.lowerBound == covered, slice.range.upperBound <= count else {
          throw fault(
            "its slice of elements \(slice.range) follows \(covered) of \(count): "
              + "elements are missing, twice or too many", tensor.key)
        }
        covered = slice.range.upperBound
        guard slice.file < files.count else {
          throw fault("its slice names file \(slice.file) of \(files.count)", tensor.key)
        }
        guard
          Frame.isPlausible(slice.encoding, bytes: slice.bytes, elements: slice.range.count, type: tensor.type)
        else {
          throw fault(
            "\(slice.bytes) stored bytes (\(slice.encoding.rawValue)) for \(slice.range.count) elements of "
              + "\(tensor.type.rawValue)", tensor.key)
        }
        slicesByFile[slice.file].append((slice, index))
      }
      guard covered == count else { throw fault("only \(covered) of its \(count) elements are stored", tensor.key) }
    }
    for (file, slices) in zip(files, slicesByFile) { try validate(file, slices, path: path) }
    try validateNumbers(fault)
  }

  /// The maximum step and counter: far above any run, and sums with it cannot overflow an Int.
  static let largestCount = 1 << 40
  static let largestRanks = 1 << 20
  /// The maximum bytes of all tensors before compression.
  static let largestContent = 1 << 48

  /// Checks that computations with the manifest's numbers stay within bounds.
  private func validateNumbers(
    _ fault: (_ problem: String, _ tensor: TensorKey?, _ offset: Int?) -> CheckpointError
  ) throws(CheckpointError) {
    for (name, value) in [("step", step)] + counters.sorted(by: { $0.key < $1.key })
    where !(0...Self.largestCount ~= value) {
      let name = SafetensorsError.printable(name)
      throw fault("'\(name)' is \(value); the maximum is \(Self.largestCount)", nil, nil)
    }
    guard 1...Self.largestRanks ~= ranks else {
      throw fault("'ranks' is \(ranks), not a number from 1 to \(Self.largestRanks)", nil, nil)
    }
    guard 1...ranks ~= expertParallel, ranks.isMultiple(of: expertParallel) else {
      throw fault("'expert_parallel' is \(expertParallel), which does not divide \(ranks) ranks", nil, nil)
    }
    // Without mini-MoEs the number has no meaning.
    guard 0...(miniMoEs == 0 ? Self.largestRanks : miniMoEs) ~= expertFiles else {
      throw fault("'expert_files' is \(expertFiles) for \(miniMoEs) mini-MoEs", nil, nil)
    }
    var content = 0
    for tensor in tensors {
      for slice in tensor.slices where slice.part > ranks {
        throw fault("part \(slice.part) of \(ranks) ranks", tensor.key, nil)
      }
      content += min(tensor.byteCount, Self.largestContent)
      guard content <= Self.largestContent else {
        throw fault("the tensors have more than \(Self.largestContent) bytes in total", tensor.key, nil)
      }
    }
  }

  private func validate(
    _ file: File, _ slices: [(slice: Slice, tensor: Int)], path: String
  ) throws(CheckpointError) {
    let folder = path.hasSuffix(Self.fileName) ? String(path.dropLast(Self.fileName.count)) : path + "/"
    func fault(_ tensor: Int?, _ offset: Int, _ problem: String) -> CheckpointError {
      CheckpointError(
        .inconsistentLayout, path: folder + file.name, tensor: tensor.map { tensors[$0].key.description },
        offset: offset, problem: problem, remedy: CheckpointError.damaged)
    }
    var covered = Shard.header.count
    let inOrder = slices.sorted { ($0.slice.offset, $0.slice.bytes) < ($1.slice.offset, $1.slice.bytes) }
    for (slice, tensor) in inOrder {
      guard slice.offset == covered else {
        let isOverlap = slice.offset < covered
        throw fault(
          tensor, slice.offset,
          isOverlap
            ? "its bytes overlap those before, which end at byte \(covered)"
            : "\(slice.offset - covered) bytes before it belong to no tensor")
      }
      let (end, overflow) = covered.addingReportingOverflow(slice.bytes)
      guard !overflow, end <= file.byteCount else {
        throw fault(tensor, slice.offset, "its \(slice.bytes) bytes reach beyond the file's \(file.byteCount)")
      }
      covered = end
    }
    guard covered == file.byteCount else {
      throw fault(nil, covered, "\(file.byteCount - covered) bytes at the end belong to no tensor")
    }
  }
}
