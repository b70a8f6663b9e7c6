import Layers

/// A sequence being decoded.
struct LivingSequence {
  /// The number of the request, and the index of the trajectory in the request.
  let request: Int
  let sample: Int
  let id: UInt64
  let promptID: UInt64
  let promptLength: Int
  /// The maximum number of generated tokens.
  let limit: Int
  let cache: KeyValueCache
  private(set) var tokens: [Int32]
  /// Whether the policy generated each token.
  private var mask: [Bool]
  /// Latents of the tokens that the layers have read.
  private var latents: [UInt8]
  private var logProbabilities: [Float] = []
  private var readTokens: Int
  private var isFinished = false
  /// Whether the observer ended the sequence.
  var isCut = false
  /// Latents of the last token of a sequence that has ended.
  var lastLatents: [UInt8] = []

  init(
    request: Int, sample: Int, id: UInt64, promptID: UInt64, prompt: [Int32], latents: [UInt8], limit: Int,
    cache: KeyValueCache
  ) {
    self.request = request
    self.sample = sample
    self.id = id
    self.promptID = promptID
    promptLength = prompt.count
    self.limit = limit
    self.cache = cache
    tokens = prompt
    mask = prompt.map { _ in false }
    self.latents = latents
    readTokens = prompt.count
  }

  /// The tokens that the layers have not read, numbered by position.
  var unread: ArraySlice<Int32> { tokens[readTokens...] }

  /// Notes that the layers have read `count` more tokens.
  mutating func read(_ count: Int, latents: [UInt8]) {
    readTokens += count
    self.latents += latents
  }

  /// Adds a generated token.
  mutating func append(_ token: Int32, _ logProbability: Float, isEnd: Bool) {
    tokens.append(token)
    mask.append(true)
    logProbabilities.append(logProbability)
    isFinished = isEnd
  }

  /// Goes on after tokens that the policy did not generate.
  mutating func observe(_ observed: [Int32]) {
    tokens += observed
    mask += observed.map { _ in false }
    isFinished = false
  }

  /// Whether the sequence can be continued: neither its limit nor the observer has ended it.
  var canContinue: Bool { !isCut && logProbabilities.count < limit }

  func hasEnded(maximumLength: Int) -> Bool {
    !logProbabilities.isEmpty && mask[mask.count - 1]
      && (isFinished || !canContinue || tokens.count == maximumLength)
  }

  /// The sequence so far, after its end.
  var trajectory: Trajectory {
    Trajectory(
      id: id, promptID: promptID, promptLength: promptLength, tokens: tokens, mask: mask,
      latents: latents + lastLatents, logProbabilities: logProbabilities, finished: isFinished)
  }
}
