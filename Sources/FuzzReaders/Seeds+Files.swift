import Configuration
import Exports
import Formats
import Foundation
import LowBit

extension Seeds {
  /// The seeds of one reader.
  static func files(_ reader: Reader) throws -> [[UInt8]] {
    switch reader {
    case .safetensors: return [try safetensors()]
    case .npy: return [try array([2, 3]), try array([5]), try array([0, 4])]
    case .bits: return try [[2, 3], [5]].map(bits)
    case .prompts:
      return texts([
        #"{"prompt": "1+1=", "answer": "2", "id": 7, "level": "é"}¶{"prompt": "a\u00e9", "answer": ""}"#,
        #"{"prompt": "x", "answer": "y", "list": [1, 2.5e3, null, true, {"a": "b"}]}"#,
      ])
    case .trajectories:
      return texts([
        #"{"question": "q", "trajectories": [{"reward": 1, "steps": [{"state": "q", "action": "a"}]}]}"#,
        #"{"question": "q", "trajectories": [{"reward": 0.5, "tokens": [5, 7, 9], "mask": [0, 1, 1], "logprobs": [-1.5, -0.25]}]}"#,
        #"{"trajectories": [{"reward": null, "finished": false, "steps": [{"question": "r", "state": "s", "action": "t"}]}]}"#,
      ])
    case .text: return texts(["One line.\n\nAnother paragraph, é.\n"])
    case .tokenizer: return [Array(tokenizer.utf8)]
    case .yaml:
      return texts([
        "model: {dim: 32, num_layers: 1}\nrl:\n  learning_rate: 1e-3\n  seed: 3\n",
        RunConfiguration().yaml(),
      ])
    case .metrics:
      return texts([
        #"{"format":"quillan-metrics","version":1}¶{"eval/exact_match":0.5,"step":0}¶"#
          + #"{"loads":{"layers":[[1,2]]},"loss":0.5,"prompts":{"first":0},"step":1,"reward":1}¶"#
          + #"{"loss":null,"step":2}¶{"name":"entropy","message":"m","since":1,"step":2}¶"#
          + #"{"completion":"c","prompt":"p","reward":1,"step":3,"tokens":[{"text":"c","logp":-1.5}]}"#
      ])
    case .golden:
      return texts([
        #"{"model":{"vocab_size":30,"dim":8,"num_layers":1,"num_heads":2,"num_mini_moes":2,"mini_moe_top_k":1,"norm_eps":1e-6,"#
          + #""num_experts_per_mini":2,"expert_top_k":1,"expert_dim":8,"max_seq_len":16,"use_bit_diffusion":true},"#
          + #""precision":{"head":"bf16","use_bitnet":true},"objective":{"clip_epsilon":0.2,"aggregation":"token_mean"},"#
          + #""seed":1,"rewards":[0.5,1],"prompt_length":3,"losses":{"total":0.5}}"#
      ])
    case .calibration:
      return texts([
        #"{"ranks":1,"threads":2,"rows":[{"operation":"fixed-point addition","rate":2e10,"seconds":0.1}]}"#,
        #"{"library":"Open MPI","ranks":2,"rows":[{"bytes":8,"wrapper_seconds":1e-6},{"bytes":1048576,"wrapper_seconds":0.001}]}"#,
        #"{"ranks":1,"threads":1,"tokens":64,"prompt_length":8,"configuration":"model: {dim: 32}\nrl: {seed: 1}\n","#
          + #""rows":[{"operation":"decode, batch 4","seconds":0.5},{"operation":"decode, batch 16","seconds":1.5}]}"#,
        #"{"ranks":1,"threads":1,"tokens":64,"sequence_length":8,"configuration":"model: {dim: 32}\n","#
          + #""rows":[{"operation":"  forward and backward","seconds":0.5},{"operation":"  optimizer and packing","seconds":0.1}]}"#,
      ])
    case .manifest, .signedManifest, .frame, .checkpoint, .packed: return []
    }
  }

  /// Texts, with ¶ for a line break.
  private static func texts(_ texts: [String]) -> [[UInt8]] {
    texts.map { Array($0.replacingOccurrences(of: "¶", with: "\n").utf8) }
  }

  private static func content(_ path: String) -> [UInt8] { Array(FileManager.default.contents(atPath: path) ?? Data()) }

  private static func safetensors() throws -> [UInt8] {
    let path = "\(Scratch.folder)/seed.safetensors"
    try SafetensorsWriter.write(
      path: path,
      tensors: [
        SafetensorsTensor(name: "a", shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]),
        SafetensorsTensor(name: "b", dataType: .uint8, shape: [5], elements: [UInt8](1...5)),
        SafetensorsTensor(name: "c", shape: [0, 4], floats: []),
      ], metadata: ["format": "seed"])
    return content(path)
  }

  private static func array(_ shape: [Int]) throws -> [UInt8] {
    let path = "\(Scratch.folder)/seed.npy"
    let values = (0..<shape.reduce(1, *)).map { Float($0) - 1.5 }
    try NumpyFile.write(path: path, shape: shape) { sink in try values.withUnsafeBytes { try sink($0) } }
    return content(path)
  }

  private static func bits(_ shape: [Int]) throws -> [UInt8] {
    let path = "\(Scratch.folder)/seed.bits"
    let input = try NumpyFile(path: Scratch.write(try array(shape), "seed-array.npy"))
    try BitEncodingFile.encode(input, BitEncoder(bits: 4), to: path)
    return content(path)
  }

  /// A byte-level vocabulary of 256 bytes, two merges and the end token.
  private static var tokenizer: String {
    // GPT-2's byte names: a printable byte is its own name, the others are numbered from 256.
    let printable = Set(33...126).union(161...172).union(174...255)
    var next = 256
    let names = (0...255).map { byte -> String in
      guard !printable.contains(byte) else { return String(Character(Unicode.Scalar(UInt8(byte)))) }
      defer { next += 1 }
      return Unicode.Scalar(next).map { String(Character($0)) } ?? ""
    }
    let tokens = names + ["ab", "abc", "<|endoftext|>"]
    let entries = tokens.enumerated().map { number, name in
      let escaped = name.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
      return "\"\(escaped)\": \(number)"
    }
    return """
      {"added_tokens": [{"id": 258, "content": "<|endoftext|>", "special": true}], "normalizer": null,
       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
       "model": {"type": "BPE", "vocab": {\(entries.joined(separator: ", "))}, "merges": ["a b", ["ab", "c"]]}}
      """
  }
}
