using System.Text.Json;
using System.Text.Json.Serialization;
using OnnxLlm.Graphs.Models;

namespace OnnxLlm.Training.Configuration;

/// <summary>The model section is read and written by <see cref="ModelConfig"/> itself, with the names of its family.</summary>
internal sealed class ModelConfigConverter : JsonConverter<ModelConfig>
{
    public override ModelConfig Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        ModelConfig.Parse(JsonElement.ParseValue(ref reader), strict: true);

    public override void Write(Utf8JsonWriter writer, ModelConfig value, JsonSerializerOptions options) => value.ToJson().WriteTo(writer);
}
