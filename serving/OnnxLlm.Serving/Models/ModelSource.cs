using OnnxLlm.Runtime;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Models;

/// <summary>Where a model comes from.</summary>
/// <param name="Id">Its name in the API.</param>
/// <param name="Load">Opens it as it is now; each call gives another runner, which the caller owns: an <see cref="IModelRunner"/>, an <see cref="EncoderSession"/>, or an <see cref="EncoderDecoderSession"/>.</param>
/// <param name="Stamp">Something that changes when the model does, for those who watch it.</param>
internal sealed record ModelSource(string Id, Func<(ServedModel Model, IDisposable Runner)> Load, Func<string> Stamp)
{
    /// <summary>A model that is there already and never changes.</summary>
    public ModelSource(ServedModel model, IModelRunner runner) : this(model.Id, () => (model, runner), () => "") { }
}
