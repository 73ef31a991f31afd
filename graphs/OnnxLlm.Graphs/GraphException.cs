namespace OnnxLlm.Graphs;

/// <summary>A graph, model or ONNX file that cannot be built, differentiated, written or read; the message says what, where and why.</summary>
public sealed class GraphException(string message) : Exception(message);
