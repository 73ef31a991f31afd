using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Engine;

/// <summary>The optimizer, bound to the tensors of an engine: one graph, or its parts one after the other, each part's state released when it is done.</summary>
internal sealed class OptimizerSessions : IDisposable
{
    private readonly ImmutableArray<Part> _parts;

    private OptimizerSessions(ImmutableArray<Part> parts) => _parts = parts;

    /// <param name="tensor">The tensor bound to an input or output.</param>
    public static OptimizerSessions Whole(TrainingGraphs graphs, SessionSettings settings, Func<string, TensorBuffer> tensor) =>
        new([new Part(graphs.Optimizer, graphs.OptimizerInPlace, settings, tensor, _ => { }, _ => { })]);

    /// <param name="tensor">The tensor bound to an input or output.</param>
    /// <param name="fetch">Called with the names of the tensors that a part is about to update.</param>
    /// <param name="release">Called with the names of the tensors that a part has updated.</param>
    public static OptimizerSessions InParts(OptimizerParts parts, SessionSettings settings, Func<string, TensorBuffer> tensor, Action<IEnumerable<string>> fetch, Action<IEnumerable<string>> release) =>
        new([.. parts.Graphs.Select(graph => new Part(graph, OptimizerParts.InPlaceOf(graph), settings, tensor, fetch, release))]);

    public void Run()
    {
        foreach (var part in _parts) part.Run();
    }

    public void Dispose()
    {
        foreach (var part in _parts) part.Dispose();
    }

    private sealed class Part : IDisposable
    {
        private readonly OrtSession _session;
        private readonly BoundSession _bound;
        private readonly ImmutableArray<string> _updated;
        private readonly Action<IEnumerable<string>> _fetch, _release;

        public Part(
            Graph graph, IEnumerable<(string Input, string Output)> inPlace, SessionSettings settings, Func<string, TensorBuffer> tensor,
            Action<IEnumerable<string>> fetch, Action<IEnumerable<string>> release)
        {
            (_updated, _fetch, _release) = ([.. inPlace.Select(pair => pair.Input)], fetch, release);
            _session = new OrtSession(OnnxFile.ToBytes(graph), settings);
            _bound = Binding.Of(_session, inPlace, tensor);
        }

        public void Run()
        {
            _fetch(_updated);
            _bound.Run();
            _release(_updated);
        }

        public void Dispose()
        {
            _bound.Dispose();
            _session.Dispose();
        }
    }
}
